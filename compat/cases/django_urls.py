"""The URLs of the Django case; imported by Django, in an interpreter where it is set up."""

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.urls import path


def users(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"users": User.objects.count()})


async def asynchronous(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"async": True})


def fail(_: HttpRequest) -> JsonResponse:
    raise LookupError("from a view")


urlpatterns = [path("users/", users), path("async/", asynchronous), path("fail/", fail)]
