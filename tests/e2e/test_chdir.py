"""Apps that change the working directory: that of all workers, if they are interpreters of one process."""

import pytest
from support import ONE_RUNTIME, RUNTIME, Server, running
from venvs import write

APP = """
import contextlib, os

{at_import}

def app(environ, start_response):
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/change":
        try:
            with contextlib.chdir("below"):
                return [os.getcwd().encode()]
        except RuntimeError as error:
            return [str(error).encode()]
    return [os.getcwd().encode()]
"""

AT_IMPORT = "os.chdir(os.path.join(os.path.dirname(__file__), 'below'))"
SAID = "The app has changed the working directory of all workers to "


@pytest.fixture
def site(tmp_path):
    """Writes the app, into a folder with another one below."""

    def site(at_import=""):
        return write(tmp_path, {"site_app.py": APP.format(at_import=at_import), "below/data": ""})

    return site


def places(server, path="/"):
    return {server.get(path).text for _ in range(6)}


def test_an_app_may_change_it_while_it_is_imported(site):
    folder = site(AT_IMPORT)
    with running("site_app:app", cwd=folder) as server:
        assert places(server) == {str(folder / "below")}
        assert server.err.count(SAID) == (RUNTIME == "interpreter")


def test_a_request_that_changes_it_is_told_of_once(site):
    folder = site()
    with running("site_app:app", workers=1, cwd=folder) as server:
        assert places(server, "/change") == {str(folder / "below")}
        assert places(server) == {str(folder)}
        if RUNTIME == "interpreter":
            server.wait_logged(f"{SAID}'below'")
    server.wait_ended()
    assert server.err.count(SAID) == (RUNTIME == "interpreter")


def test_nothing_is_said_where_it_is_allowed(site):
    folder = site(AT_IMPORT)
    with running("site_app:app", "--on-chdir", "allow", cwd=folder) as server:
        assert places(server) == {str(folder / "below")}
        assert SAID not in server.err


def test_it_can_be_refused(site):
    folder = site()
    with running("site_app:app", "--on-chdir", "error", cwd=folder) as server:
        (answer,) = places(server, "/change")
        if RUNTIME == "interpreter":
            assert answer.startswith("os.chdir: the working directory is that of all workers; use absolute paths, ")
        else:
            assert answer == str(folder / "below")
        assert places(server) == {str(folder)}


@ONE_RUNTIME
def test_an_import_that_is_refused_ends_the_server(site):
    folder = site(AT_IMPORT)
    server = Server("site_app:app", "--port", "0", "--on-chdir", "error", cwd=folder)
    assert server.wait_ended() == 3
    assert "RuntimeError: os.chdir: the working directory is that of all workers; use absolute paths" in server.err
    assert f'File "{folder / "site_app.py"}"' in server.err
