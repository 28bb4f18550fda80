from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__, SECRET_KEY="only for tests", ALLOWED_HOSTS=["*"], DATA_UPLOAD_MAX_MEMORY_SIZE=None
)


def hello(request, name):
    return HttpResponse(f"{request.GET['greeting']} {name}")


def form(request):
    return JsonResponse({"length": len(request.POST["text"])})


def upload(request):
    print("reading", flush=True)
    while request.read(65536):
        pass
    return HttpResponse("whole")


def stream(request):
    return StreamingHttpResponse(stream_async() if request.scope_is_async else stream_sync())


def stream_sync():
    for number in range(100):
        yield f"line {number}\n"


async def stream_async():
    for number in range(100):
        yield f"line {number}\n"


def where(request):
    return HttpResponse(f"{request.META['REMOTE_ADDR']} {request.build_absolute_uri()}")


def mark(get_response):
    def middleware(request):
        request.scope_is_async = hasattr(request, "scope")
        return get_response(request)

    return middleware


settings.MIDDLEWARE = [f"{__name__}.mark"]
urlpatterns = [
    path("hello/<str:name>", hello),
    path("form", form),
    path("stream", stream),
    path("upload", upload),
    path("where", where),
]
application = get_wsgi_application()
asgi = get_asgi_application()
