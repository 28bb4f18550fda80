"""Configuration files: a server that is started with one, and what of a changed file takes effect when."""

import json
import os
import signal
import sys

import pytest
from support import RUNTIME, Server, run_command, running, wait_until

SUPERVISED = pytest.mark.skipif(RUNTIME == "thread", reason="has no supervisor")

APP = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]
"""
FILE = """
app = "site_app:app"
header = ["X-Version: {version}"]
log-level = "debug"
"""


def write(folder, text, name="snakepit.toml"):
    (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def site(tmp_path):
    write(tmp_path, APP, "site_app.py")
    write(tmp_path, FILE.format(version=1))
    (tmp_path / "below").mkdir()
    return tmp_path


def version(server):
    response = server.get("/")
    assert (response.status, response.text) == (200, "hello")
    return response.headers.get("x-version")


@pytest.mark.parametrize("where", ["here", "below"])
def test_a_file_names_the_app(site, where):
    cwd = site if where == "here" else site / where
    with running(cwd=cwd, workers=1) as server:
        assert version(server) == "1"
        assert f"Options from {site / 'snakepit.toml'}" in server.err
        assert "app site_app:app" in server.err
        assert server.stop() == 0


def test_a_pyproject(site):
    (site / "snakepit.toml").unlink()
    write(site, '[tool.snakepit]\napp = "site_app:app"\nheader = ["X-Version: 3"]\n', "pyproject.toml")
    with running(cwd=site, workers=1) as server:
        assert version(server) == "3"


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_file_that_is_named(site, tmp_path_factory, how):
    path = site / "snakepit.toml"
    env = {"SNAKEPIT_CONFIG": str(path)} if how == "variable" else {}
    arguments = ["--config", str(path)] if how == "option" else []
    with running(*arguments, cwd=tmp_path_factory.mktemp("other"), env=env, workers=1) as server:
        assert version(server) == "1"


def test_no_file(site):
    with running("site_app:app", "--no-config", cwd=site, workers=1) as server:
        assert version(server) is None
        assert "Options from" not in server.err


def test_all_mistakes_end_the_start(site):
    write(site, "prot = 1\nport = 'x'\n")
    server = Server(cwd=site)
    try:
        assert server.wait_ended() == 2
        assert server.err == (
            "Error: 2 mistakes:\n"
            "  snakepit.toml:1: prot: there is no such option; did you mean port?\n"
            '  snakepit.toml:2: port must be a whole number, not "x"\n'
        )
    finally:
        server.kill()


@pytest.mark.parametrize("text", ["supervise = false", 'runtime = "thread"', 'env-file = "x.env"'])
def test_the_supervisor_obeys_the_file(site, text):
    write(site, "SNAKEPIT_SUPERVISE=off\n", "x.env")
    write(site, f"{text}\n{FILE.format(version=1)}")
    env = {name: value for name, value in os.environ.items() if name != "SNAKEPIT_RUNTIME"}
    with running(cwd=site, workers=1, env=env if "thread" not in text else {"SNAKEPIT_RUNTIME": ""}) as server:
        assert server.pid == server.process.pid
        assert version(server) == "1"
        assert server.stop() == 0


@SUPERVISED
def test_flags_overrule_the_file(site):
    write(site, f"supervise = false\n{FILE.format(version=1)}")
    with running("--supervise", cwd=site, workers=1) as server:
        assert server.pid != server.process.pid
        assert server.stop() == 0


@SUPERVISED
def test_a_changed_file_takes_effect_with_the_next_process(site):
    with running(cwd=site, workers=1) as server:
        write(site, FILE.format(version=2))
        assert server.command("reload").returncode == 0
        assert version(server) == "1"
        assert server.command("upgrade").returncode == 0
        assert version(server) == "2"
        write(site, "prot = 1\n")
        done = server.command("upgrade")
        assert (done.returncode, done.stdout) == (1, "")
        assert "the new server process exited with status 2" in done.stderr
        assert "Error: snakepit.toml:1: prot: there is no such option" in server.err
        assert version(server) == "2"
        assert server.stop() == 0


@SUPERVISED
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_process_that_died_is_followed_by_one_with_the_changed_file(site):
    with running(cwd=site, workers=1) as server:
        first = server.pid
        write(site, FILE.format(version=2))
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: server.pid != first, "another process serves")
        server.wait_listening(2)
        assert version(server) == "2"


def test_reload_option_of_the_file_watches_the_files_folder(site):
    if RUNTIME == "thread":
        pytest.skip("does not reload")
    write(site, f"reload = true\n{FILE.format(version=1)}")
    with running(cwd=site / "below", workers=1) as server:
        server.wait_logged(f"Watching {site.resolve()}")
        write(site, APP.replace("hello", "changed"), "site_app.py")
        wait_until(lambda: server.get("/").text == "changed", "the new version answers")


PROGRAM = """
import sys
import snakepit

if __name__ == "__main__":
    snakepit.run(*sys.argv[2:], config=sys.argv[1] or None, port=0, interpreters=1)
"""


def test_in_code_a_file_counts_only_if_it_is_named(site):
    write(site, PROGRAM, "program.py")
    for arguments, expected in (
        (["snakepit.toml"], "1"),
        (["snakepit.toml", "site_app:app"], "1"),
        (["", "site_app:app"], None),
    ):
        server = Server("program.py", *arguments, cwd=site, env={"SNAKEPIT_CONFIG": "snakepit.toml"}, script=True)
        try:
            server.wait_listening(1)
            assert version(server) == expected
        finally:
            server.kill()


def command(folder, *arguments):
    env = {name: value for name, value in os.environ.items() if not name.startswith("SNAKEPIT_")}
    return run_command(*arguments, cwd=folder, env=env)


def test_from_init_to_a_server(tmp_path):
    write(tmp_path, APP, "main.py")
    assert command(tmp_path, "init").stdout.startswith("Wrote snakepit.toml, for the app main:app.")
    shown = json.loads(command(tmp_path, "config", "--json").stdout)
    assert shown["options"]["app"] == {
        "value": "main:app",
        "source": "file",
        "path": str(tmp_path / "snakepit.toml"),
        "line": shown["options"]["app"]["line"],
    }
    assert command(tmp_path, "config", "--check").returncode == 0
    assert command(tmp_path, "check").returncode == 0
    with running(cwd=tmp_path, workers=1) as server:
        assert server.get("/").text == "hello"


@SUPERVISED
@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_link_to_a_release_is_followed_anew(tmp_path):
    for release in ("1", "2"):
        folder = tmp_path / release
        folder.mkdir()
        write(folder, APP, "site_app.py")
        write(folder, FILE.format(version=release))
    current = tmp_path / "current"
    current.symlink_to("1")
    with running(cwd=current, env={"PWD": str(current)}, workers=1) as server:
        assert version(server) == "1"
        current.unlink()
        current.symlink_to("2")
        server.cwd = tmp_path  # commands need none that may be gone
        assert server.command("upgrade", "--pid", str(server.process.pid)).returncode == 0
        assert version(server) == "2"
