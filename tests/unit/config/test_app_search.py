"""config.app_search: the apps in a folder, found without importing anything."""

import pytest

from snakepit.config.app_search import FoundApp, find

FLASK = "from flask import Flask\napp = Flask(__name__)\n"
MANAGE = """
import os, sys
def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
"""


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.py" if "init" not in name else tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return str(tmp_path)

    return write


def references(found):
    return [each.reference for each in found]


def test_nothing(folder):
    assert find(folder()) == []
    assert find(folder(main="print('hello')\n")) == []


@pytest.mark.parametrize(
    "code",
    [
        FLASK,
        "import flask\napp = flask.Flask(__name__)\n",
        "from fastapi import FastAPI\napp: FastAPI = FastAPI()\n",
        "from starlette.applications import Starlette\nif True:\n    app = Starlette()\n",
        "try:\n    import x\nexcept ImportError:\n    pass\nelse:\n    app = Quart(__name__)\n",
        "app = get_wsgi_application()\n",
        "def app(environ, start_response): ...\n",
        "async def app(scope, receive, send): ...\n",
        "class app: ...\n",
        "app = middleware(Flask(__name__))\n",
        "from .factory import thing as app\n",
    ],
)
def test_an_app(folder, code):
    assert find(folder(main=code)) == [FoundApp("main:app")]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("def create_app(): ...\n", [FoundApp("main:create_app", factory=True)]),
        ("def create_app(config=None, *, debug=False): ...\n", [FoundApp("main:create_app", factory=True)]),
        ("def create_app(config): ...\n", []),
        ("def create_app(*, config): ...\n", []),
        ("async def create_app(): ...\n", []),
        ("def create_app():\n    app = Flask(__name__)\n    return app\n", [FoundApp("main:create_app", factory=True)]),
        ("if __name__ == '__main__':\n    app = Flask(__name__)\n", []),
        ("shop = FastAPI()\n", [FoundApp("main:shop")]),
        ("shop = Database()\n", []),
        ("app = Flask(__name__\n", []),
        ("\0", []),
        ("raise SystemExit('imported')\napp = Flask(__name__)\n", [FoundApp("main:app")]),
    ],
)
def test_what_is_one_and_what_is_none(folder, code, expected):
    assert find(folder(main=code)) == expected


def test_the_likeliest_first(folder):
    found = find(
        folder(
            asgi="from main import app\n",
            zoo="admin = FastAPI()\n",
            main=FLASK,
            factory="def make_app(): ...\n",
            shop__api="api = FastAPI()\n",
        )
    )
    assert references(found) == ["main:app", "shop.api:api", "zoo:admin", "factory:make_app", "asgi:app"]


def test_packages_and_src(folder):
    assert find(folder(src__shop__main=FLASK)) == [FoundApp("shop.main:app", app_dir="src")]
    assert references(find(folder(shop__app=FLASK))) == ["shop.app:app", "shop.main:app"]


def test_a_package_itself(folder, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(FLASK)
    assert references(find(str(tmp_path))) == ["shop:app"]


@pytest.mark.parametrize("name", ["tests__app", "node_modules__app", "env__app", "test_main", "not-a-name__app"])
def test_what_is_skipped(folder, name):
    assert find(folder(**{name: FLASK})) == []


def test_virtual_environments_are_skipped(folder, tmp_path):
    path = folder(myenv__app=FLASK)
    assert references(find(path)) == ["myenv.app:app"]
    (tmp_path / "myenv" / "pyvenv.cfg").touch()
    assert find(path) == []


def test_django(folder):
    found = find(folder(manage=MANAGE, shop__wsgi="application = get_wsgi_application()\n", shop__settings=""))
    assert found == [FoundApp("shop.wsgi:application")]


def test_django_over_asgi(folder):
    code = "application = get_asgi_application()\n"
    assert references(find(folder(manage=MANAGE, shop__asgi=code))) == ["shop.asgi:application"]
    both = folder(shop__wsgi="application = get_wsgi_application()\n", shop__settings="WSGI_APPLICATION = 'x'\n")
    assert references(find(both))[0] == "shop.wsgi:application"
    both = folder(shop__settings="ASGI_APPLICATION = 'shop.asgi.application'\n")
    assert references(find(both))[0] == "shop.asgi:application"


def test_django_with_a_package_of_settings(folder):
    manage = MANAGE.replace("shop.settings", "config.settings.local")
    assert references(find(folder(manage=manage, config__settings__local="", config__wsgi=""))) == [
        "config.wsgi:application"
    ]


def test_a_manage_that_is_not_djangos(folder):
    assert references(find(folder(manage="print()\n", main=FLASK))) == ["main:app"]


def test_a_folder_that_does_not_exist(tmp_path):
    assert find(str(tmp_path / "none")) == []
