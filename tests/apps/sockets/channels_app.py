import django
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

settings.configure(
    ROOT_URLCONF=__name__,
    SECRET_KEY="only for tests",
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
)
django.setup()
urlpatterns = []
codes = []


class Echo(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept("two" if "two" in self.scope["subprotocols"] else None)

    async def receive(self, text_data=None, bytes_data=None):
        await self.send(text_data, bytes_data)

    async def disconnect(self, code):
        codes.append(f"{code}")


class Chat(AsyncWebsocketConsumer):
    groups = ("room",)

    async def receive(self, text_data=None, bytes_data=None):
        await self.channel_layer.group_send("room", {"type": "said", "text": text_data})

    async def said(self, event):
        await self.send(event["text"])


class Close(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.close(int(text_data), "as you wish")


class Seen(AsyncWebsocketConsumer):
    async def receive(self, text_data=None, bytes_data=None):
        await self.send(codes[-1] if codes else "")


class Deny(AsyncWebsocketConsumer):
    async def connect(self):
        await self.close()


routes = {"echo": Echo, "chat": Chat, "close": Close, "seen": Seen, "deny": Deny}
app = ProtocolTypeRouter(
    {
        "http": get_asgi_application(),
        "websocket": URLRouter([path(route, consumer.as_asgi()) for route, consumer in routes.items()]),
    }
)
