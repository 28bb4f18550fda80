"""The chat example's page, in a real browser: what is typed in one window appears in the other."""

import signal
from pathlib import Path

import pytest
from browsing import NEEDS_BROWSER, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support import ONE_RUNTIME, Server

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = [NEEDS_BROWSER, ONE_RUNTIME]


@pytest.fixture
def server():
    server = Server("chat:app", "--interpreters", "1", "--port", "0", cwd=EXAMPLES)
    try:
        yield server.wait_listening()
    finally:
        server.kill()


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
