from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

from benchmarks.apps.work import worker_slowly

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for benchmarks",
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)


def hello(request):
    return HttpResponse("Hello, world!")


def worker(request):
    return HttpResponse(worker_slowly())


urlpatterns = [path("", hello), path("worker", worker)]
application = get_wsgi_application()
asgi = get_asgi_application()
