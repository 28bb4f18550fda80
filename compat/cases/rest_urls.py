"""The URLs of the case for Django REST framework; see `django_urls`."""

from django.contrib.auth.models import User
from rest_framework import routers, serializers, viewsets


class UserSerializer(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "email")


class Users(viewsets.ModelViewSet):
    queryset = User.objects.order_by("id")
    serializer_class = UserSerializer


router = routers.DefaultRouter()
router.register("users", Users)
urlpatterns = router.urls
