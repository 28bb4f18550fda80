"""snakepit profile: what takes the time, as JSON for speedscope and as a flame graph."""

import json
import os
import signal
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from contextlib import contextmanager

import pytest
from browsing import NEEDS_BROWSER, wait_for
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from support import NEEDS_TWO_WORKERS, ONE_RUNTIME, PATIENCE, RUNTIME, Client, running, wait_until

GET = b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"
SVG = "{http://www.w3.org/2000/svg}"


def wait_spinning(server):
    """Wait until a worker is in the endless loop."""
    wait_until(lambda: "in spin" in server.command("stacks").stdout, "the loop runs")


def functions(file):
    """The functions that a profile for speedscope shows, by profile."""
    profile = json.loads(file.read_text(encoding="utf-8"))
    frames = profile["shared"]["frames"]
    return {
        found["name"]: {frames[at]["name"] for stack in found["samples"] for at in stack}
        for found in profile["profiles"]
    }


@contextmanager
def making(server, file, *arguments):
    """Run a profile that goes on for long, from the moment at which it is being made."""
    command = [sys.executable, "-m", "snakepit", "profile", "--seconds", "600", "-o", str(file), *arguments]
    process = subprocess.Popen(
        command, cwd=server.cwd, env=server.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def is_made():
        asking = "from snakepit.control.search import find; find(None, None).ask('profile', seconds=0)"
        done = subprocess.run(
            [sys.executable, "-c", asking], cwd=server.cwd, env=server.env, capture_output=True, text=True
        )
        return "another profile" in done.stderr

    wait_until(is_made, "the profile is being made")
    yield process
    assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize("app", ["stuck:app", "stuck:wsgi"])
def test_an_endless_loop(app, tmp_path):
    name = "spin" if app.endswith("app") else "spin_for_ever"
    with running(app, "--no-access-log", workers=1) as server, Client(server) as client:
        client.send(GET % b"/spin")
        wait_spinning(server)
        file = tmp_path / "profile.json"
        done = server.command("profile", "--seconds", "0.5", "-o", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert name in set().union(*functions(file).values())
        refused = server.command("profile", "--seconds", "0.1", "--worker", "7")
        assert (refused.returncode, refused.stderr) == (1, "Error: There is no worker 7; there are: 1\n")


def test_a_flame_graph(tmp_path):
    with running("stuck:app", "--no-access-log", workers=1) as server, Client(server) as client:
        client.send(GET % b"/spin")
        wait_spinning(server)
        file = tmp_path / "profile.svg"
        done = server.command("profile", "--seconds", "0.5", "--worker", "1", "-o", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("open it in a browser\n")
        frames = ET.parse(file).getroot().find(f"{SVG}svg[@id='frames']")
        tips = {frame.find(f"{SVG}title").text.partition("\n")[0]: frame for frame in frames}
        assert tips["spin"].get("class") == "app"
        assert not any(tip.startswith("main, ") for tip in tips)


@NEEDS_BROWSER
@ONE_RUNTIME
def test_zoom_and_search_in_a_browser(browser, tmp_path):
    with running("stuck:app", "--no-access-log", workers=1) as server, Client(server) as client:
        client.send(GET % b"/spin")
        wait_spinning(server)
        file = tmp_path / "profile.svg"
        assert server.command("profile", "--seconds", "0.5", "-o", str(file)).returncode == 0

    def frames():
        return browser.find_elements("css selector", "#frames > svg")

    def shown(text):
        """The rectangles with such a text, as the widths that they have."""
        named = [each for each in frames() if each.find_element("tag name", "text").text.startswith(text)]
        return [each.get_attribute("width") for each in named if each.is_displayed()]

    def told():
        return browser.find_element("id", "told").text

    browser.get(file.as_uri())
    before = shown("")
    [loop] = [each for each in frames() if each.find_element("tag name", "text").text.startswith("spin ")]
    loop.click()
    wait_for(browser, lambda _: shown("spin ") == ["100%"])
    search = browser.find_element("id", "search")
    ActionChains(browser).click(search).send_keys("SPIN").perform()
    wait_for(browser, lambda _: "is in 100.0 % of what is shown" in told())
    assert loop.get_attribute("class") == "app hit"
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    wait_for(browser, lambda _: len(shown("")) == len(before))
    assert shown("all threads") == ["100%"]


def test_the_main_interpreter_alone(tmp_path):
    over = threading.Event()
    file = tmp_path / "profile.json"
    with running("stuck:app", "--no-access-log", workers=1) as server:

        def ask():
            with Client(server) as client:
                while not over.is_set():
                    client.send(GET % b"/" * 50)
                    for _ in range(50):
                        assert client.read().status == 200

        def seen():
            done = server.command("profile", "--seconds", "0.5", "--worker", "main", "-o", str(file))
            assert (done.returncode, done.stderr) == (0, "")
            return functions(file)

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            found = wait_until(seen, "the main interpreter is seen at work")
        finally:
            over.set()
            thread.join(PATIENCE)
        assert {name.partition(",")[0] for name in found} == {"main"}
        assert "run_command" in set().union(*found.values())


@NEEDS_TWO_WORKERS
@pytest.mark.parametrize("app", ["stuck:app", "stuck:wsgi"])
def test_a_worker_that_is_replaced_meanwhile(app, tmp_path):
    with running(app, "--no-access-log", workers=2) as server:
        file = tmp_path / "profile.json"
        with making(server, file, "--worker", "2") as process:
            assert server.command("reload").returncode == 0
            out, err = process.communicate(timeout=PATIENCE)
            assert "Worker 2 of stuck:" in err
            assert " ended after " in err
            assert "the profile has what it did until then" in err
            assert out.startswith(f"{file} shows ")
        assert server.command("profile", "--seconds", "0.01", "-o", os.devnull).returncode == 0


@pytest.mark.skipif(RUNTIME != "process", reason="only processes can be killed")
def test_a_worker_that_dies_meanwhile(tmp_path):
    with running("stuck:app", "--no-access-log", workers=2) as server:
        workers = json.loads(server.command("stacks", "--json").stdout)["workers"]
        file = tmp_path / "profile.json"
        with making(server, file) as process:
            os.kill(workers[0]["pid"], signal.SIGKILL)
            wait_until(lambda: "SIGKILL" in server.err or "killed" in server.err.lower(), "its end is known")
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=PATIENCE)
            assert err.count("Worker ") == 1
            assert err.endswith(" s; the profile lacks it\n")


def test_ctrl_c_ends_it(tmp_path):
    with running("stuck:app", "--no-access-log", workers=1) as server:
        file = tmp_path / "p.json"
        with making(server, file) as process:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=PATIENCE)
            assert err == ""
            assert out.startswith(f"{file} shows ")
        assert server.command("profile", "--seconds", "0.01", "-o", os.devnull).returncode == 0
