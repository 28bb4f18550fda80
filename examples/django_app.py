"""Django, as a project in a single file, over WSGI or over ASGI.

pip install django
snakepit run django_app:application --interpreters 2
snakepit run django_app:asgi --interpreters 2
curl http://127.0.0.1:8000/hello/Ada
"""

import uuid

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"], SECRET_KEY="only an example")
worker = uuid.uuid4().hex[:8]  # each worker imports this module, so each has its own


def hello(request, name="world"):
    return JsonResponse({"hello": name, "worker": worker, "over": type(request).__name__})


urlpatterns = [path("", hello), path("hello/<name>", hello)]
application = get_wsgi_application()
asgi = get_asgi_application()
