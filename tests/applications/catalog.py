"""The applications: the packages, the set-up and the options of Snakepit for each.

Each has a folder with its name beside this file, with the app and with `visit.py`, which plays a client.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Application:
    """One application.

    Args:
        name: its folder, and what pytest selects it by.
        title: what people call it.
        packages: what is installed for it; the table shows the version of the first.
        target: what Snakepit serves.
        first: what the client does, in words.
        open: what is open when Ctrl+C comes, in words.
        prepare: commands of its Python, run beforehand where the app is.
        options: of Snakepit's, where the default ones do not do.
        because: why they do not.
        warned: what the log may say at level WARNING, each a part of a line.
        quick: whether it is installed and tried in seconds.
        postgresql: whether it has a server of that, as `DATABASE_URL`.
        environment: further variables for the app and the client; `{port}` is a free one.
        absent: by Python, why it can't be installed.
    """

    name: str
    title: str
    packages: tuple[str, ...]
    target: str
    first: str
    open: str
    prepare: tuple[tuple[str, ...], ...] = ()
    options: tuple[str, ...] = ()
    because: str = ""
    warned: tuple[str, ...] = ()
    quick: bool = False
    postgresql: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)


THIS_PYTHON = "{}.{}".format(*sys.version_info)

_SUPERUSER = {"DJANGO_SUPERUSER_PASSWORD": "analytical engine"}


def _django(app: str) -> tuple[tuple[str, ...], ...]:
    """How a project is set up, with migrations for this app of its own."""
    quietly = ("--verbosity", "0")
    return (
        ("manage.py", "makemigrations", app, *quietly),
        ("manage.py", "migrate", *quietly),
        ("manage.py", "collectstatic", "--no-input", *quietly),
        ("manage.py", "createsuperuser", "--no-input", "--username", "ada", "--email", "ada@example.org"),
    )


APPLICATIONS = (
    Application(
        name="django_admin",
        title="Django admin",
        packages=("django", "whitenoise", "httpx"),
        target="site_project.wsgi:application",
        first="logs in, adds an object, sees it in the list; the admin's style sheet",
        open="the list, over a keep-alive connection",
        prepare=_django("shelf"),
        environment=_SUPERUSER,
    ),
    Application(
        name="wagtail_site",
        title="Wagtail",
        packages=("wagtail", "whitenoise", "httpx"),
        target="site_project.wsgi:application",
        first="logs in, makes and publishes a page, uploads an image; the page, its image",
        open="the page, over a keep-alive connection",
        prepare=_django("home"),
        environment=_SUPERUSER,
    ),
    Application(
        name="fastapi_stack",
        title="FastAPI full stack",
        packages=(
            "fastapi[standard]",
            "sqlmodel",
            "psycopg[binary]",
            "pyjwt",
            "pwdlib[argon2,bcrypt]",
            "pydantic-settings",
            "httpx",
        ),
        target="main:app",
        first="signs up, logs in by a form, makes and reads items with its token",
        open="a stream of events",
        postgresql=True,
    ),
    Application(
        name="nicegui_page",
        title="NiceGUI",
        packages=("nicegui", "selenium"),
        target="main:app",
        first="opens the page in a browser, clicks a button, the label changes",
        open="the page, with its WebSocket",
        warned=("nicegui keeps each page in the memory", "socketio keeps each client in the memory"),
    ),
    Application(
        name="gradio_demo",
        title="Gradio",
        packages=("gradio", "selenium"),
        target="main:app",
        first="a call by gradio_client; the page in a browser, its button and answer",
        open="the page, with its stream of events",
        warned=("gradio keeps each session in the memory",),
    ),
    Application(
        name="socketio_echo",
        title="python-socketio",
        packages=("python-socketio[asyncio_client,client]",),
        target="main:app",
        first="4 of 4 clients connect (polling, then upgraded) and get an event back",
        open="their WebSockets",
        warned=("socketio keeps each client in the memory",),
        quick=True,
    ),
    Application(
        name="mcp_tools",
        title="MCP",
        packages=("mcp",),
        target="main:app",
        first="lists the tools and calls one, by Streamable HTTP and by SSE",
        open="sessions of both kinds",
        warned=("mcp keeps each session in the memory",),
    ),
    Application(
        name="dash_page",
        title="Dash",
        packages=("dash", "selenium"),
        target="main:server",
        first="opens the page in a browser; a callback changes it",
        open="the page, which asks again and again (dcc.Interval)",
        quick=True,
    ),
    Application(
        name="fasthtml_list",
        title="FastHTML",
        packages=("python-fasthtml", "fastlite", "httpx"),
        target="main:app",
        first="posts a form, sees what it added to the database",
        options=("--runtime", "process"),
        because="fastlite, its database layer, is made on apsw, which loses writes to a file where it is copied, and "
        "so is not [loaded in interpreters](../explanation/one-process.md#files-that-several-workers-write)",
        open="a stream of events",
    ),
    Application(
        name="litellm_proxy",
        title="LiteLLM",
        packages=("litellm[proxy]", "httpx"),
        target="litellm.proxy.proxy_server:app",
        first="/health/liveliness, a chat completion, a streamed one",
        open="a streamed completion, of a model that goes on and on",
        absent={"3.15": "fastuuid, which it needs, has no wheel for that"},
        warned=("mcp keeps each session in the memory", "trusted_proxy_ranges is not set"),
        environment={
            "CONFIG_FILE_PATH": "config.yaml",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "SLOW_MODEL": "http://127.0.0.1:{port}/v1",
        },
    ),
    Application(
        name="datasette_site",
        title="Datasette",
        packages=("datasette", "httpx"),
        target="main:app",
        first="a query as JSON, and a table's page",
        open="the page, over a keep-alive connection",
        prepare=(("make_database.py",),),
        quick=True,
    ),
)
