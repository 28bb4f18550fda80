"""The chat example's page, in a real browser: what is typed in one window appears in the other.

It needs Debian's packages chromium and chromium-driver (tools/install-debian-packages). Where CI says that they must
be there, by SNAKEPIT_TEST_BROWSER=required, their lack is an error.
"""

import os
import signal
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait
from support import PATIENCE, Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
MISSING = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
REQUIRED = os.environ.get("SNAKEPIT_TEST_BROWSER") == "required"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-proxy-server",
)

pytestmark = pytest.mark.skipif(
    bool(MISSING) and not REQUIRED, reason=f"no {' and no '.join(MISSING)}; run tools/install-debian-packages"
)


@pytest.fixture
def browser(tmp_path, monkeypatch):
    assert not MISSING, f"there must be {MISSING}"
    monkeypatch.setenv("SE_OFFLINE", "true")
    monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in (*ARGUMENTS, f"--user-data-dir={tmp_path}"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options, webdriver.ChromeService(str(DRIVER)))
    yield browser
    browser.quit()


@pytest.fixture
def server():
    server = Server("chat:app", "--interpreters", "1", "--port", "0", cwd=EXAMPLES)
    try:
        yield server.wait_listening()
    finally:
        server.kill()


def wait_for(browser, what):
    return WebDriverWait(browser, PATIENCE).until(what)


def state(browser):
    return browser.find_element(By.ID, "state").text


def said(browser):
    return [line.text for line in browser.find_elements(By.CSS_SELECTOR, "#said li")]


def say(browser, text):
    browser.find_element(By.ID, "text").send_keys(text, Keys.ENTER)


def test_two_pages_hear_each_other(browser, server):
    pages = []
    for number in range(2):
        if number:
            browser.switch_to.new_window("window")
        browser.get(f"{server.address}/")
        wait_for(browser, lambda it: state(it) == "Connected")
        say(browser, f"page {number} is here")
        wait_for(browser, lambda it, number=number: f"page {number} is here" in said(it))
        pages.append(browser.current_window_handle)

    one, two = pages
    browser.switch_to.window(one)
    say(browser, "hello from one, ünïcödé ☃")
    browser.switch_to.window(two)
    wait_for(browser, lambda it: said(it)[-1:] == ["hello from one, ünïcödé ☃"])
    say(browser, "hello from two")
    browser.switch_to.window(one)
    wait_for(browser, lambda it: said(it)[-1:] == ["hello from two"])
    assert said(browser) == [
        "page 0 is here",
        "page 1 is here",
        "hello from one, ünïcödé ☃",
        "hello from two",
    ]
    assert "permessage-deflate" in _agreed_extensions(browser)

    server.process.send_signal(signal.SIGTERM)
    wait_for(browser, lambda it: state(it) == "Closed (1012)")
    assert server.wait_ended() == 0
    assert "Traceback" not in server.err, server.err


def _agreed_extensions(browser):
    return browser.execute_async_script(
        """
        const done = arguments[0];
        const socket = new WebSocket(location.href.replace(/^http/, "ws") + "chat");
        socket.onopen = () => { done(socket.extensions); socket.close(); };
        socket.onerror = () => done("no connection");
        """
    )
