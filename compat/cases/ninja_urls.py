"""The URLs of the case for Django Ninja; see `django_urls`."""

from django.http import HttpRequest
from django.urls import path
from ninja import NinjaAPI, Schema

api = NinjaAPI()


class Numbers(Schema):
    numbers: list[float]


class Total(Schema):
    total: float


@api.post("/sum", response=Total)
def add(request: HttpRequest, data: Numbers) -> dict[str, float]:
    return {"total": sum(data.numbers)}


@api.get("/divide")
def divide(request: HttpRequest, by: int) -> dict[str, float]:
    return {"result": 1 / by}


urlpatterns = [path("", api.urls)]
