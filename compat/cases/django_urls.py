"""The Django project's URLs; imported by Django, in an interpreter where it is set up."""

from django.contrib.auth.models import User
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from ninja import NinjaAPI, Schema
from rest_framework import routers, serializers, viewsets


def users(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"users": User.objects.count()})


async def asynchronous(_: HttpRequest) -> JsonResponse:
    return JsonResponse({"async": True})


def fail(_: HttpRequest) -> JsonResponse:
    raise LookupError("from a view")


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "email")


class Users(viewsets.ModelViewSet):
    queryset = User.objects.order_by("id")
    serializer_class = UserSerializer


router = routers.DefaultRouter()
router.register("users", Users)

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


urlpatterns = [
    path("users/", users),
    path("async/", asynchronous),
    path("fail/", fail),
    path("api/", include(router.urls)),
    path("ninja/", api.urls),
]
