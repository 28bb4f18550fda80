"""What many tests share.

No test that shares a server may end it. Each of these tests runs twice: with the installed fast parts, and without
them.
"""

import pytest
from browsing import browser  # noqa: F401
from support import RUNTIME, Held, running

PARTS = {"installed": (), "plain": ("--http", "h11", "--loop", "asyncio")}
if RUNTIME != "interpreter":  # these parts have nothing to do with what workers run in
    del PARTS["plain"]


@pytest.fixture(scope="session", autouse=True)
def apart(tmp_path_factory):
    """What these tests run and the servers of the user who runs them do not find each other."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
        yield


@pytest.fixture(scope="session", params=PARTS)
def parts(request):
    return PARTS[request.param]


@pytest.fixture(scope="session")
def asgi(parts):
    with running("behaviors:app", *parts) as server:
        yield server


@pytest.fixture(scope="session")
def wsgi(parts):
    with running("wsgi_behaviors:app", *parts) as server:
        yield server


@pytest.fixture
def held(tmp_path):
    """Requests that are held until `held.release()`."""
    return Held(tmp_path)


@pytest.fixture
def site_app(tmp_path):
    """The folder with the app; its `save` saves another version."""

    class SiteApp:
        folder = tmp_path

        def save(self, text):
            new = tmp_path / "site_app.py.new"  # like many editors: never a half-written file
            new.write_text(text, encoding="utf-8")
            new.replace(tmp_path / "site_app.py")

    return SiteApp()
