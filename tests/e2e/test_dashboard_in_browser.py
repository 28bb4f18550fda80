"""The live page in a real browser: it is live, shows where a request is, and its buttons do what they say."""

import threading

import pytest
from browsing import NEEDS_BROWSER, wait_for
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from support import ONE_RUNTIME, Load, running

pytestmark = [NEEDS_BROWSER, ONE_RUNTIME]

TOKEN = "the-token-of-the-tests-is-long"


def text(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def click(browser, selector):
    browser.find_element(By.CSS_SELECTOR, selector).click()


def number(browser, selector):
    return int(text(browser, selector).split()[0].replace(",", ""))


def press(button):
    """Press a button with the keyboard: it acts if it is pressed again within some seconds."""
    if button.is_displayed() and button.is_enabled():
        button.send_keys(Keys.ENTER)


def hang(server):
    thread = threading.Thread(target=server.get, args=("/burn?secret",))
    thread.start()
    return thread


def is_silent(browser):
    """Whether the browser has nothing to complain of: errors of scripts, refusals by the page's policy."""
    found = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert found == []
    return True


def test_the_page_lives(browser):
    with running("hanging:wsgi", "--dashboard", workers=2) as server:
        browser.get(f"{server.address}/_snakepit/")
        wait_for(browser, lambda it: text(it, "#verdict-word") == "All is well")
        assert text(browser, "#title") == "hanging:wsgi"
        assert len(browser.find_elements(By.CSS_SELECTOR, ".worker")) == 2
        before = number(browser, "#t-requests")
        with Load(server, connections=2):
            wait_for(browser, lambda it: number(it, "#t-requests") > before)
            wait_for(browser, lambda it: text(it, "#t-rate") not in ("–", "0.0"))
            wait_for(browser, lambda it: "ms" in text(it, "#t-p95"))
            wait_for(browser, lambda it: it.find_elements(By.CSS_SELECTOR, "#chart-requests .line.main"))

        hung = hang(server)
        wait_for(browser, lambda it: "/burn" in text(it, "#requests"))
        assert "secret" not in browser.page_source
        click(browser, "#requests .acts button")
        wait_for(browser, lambda it: "in burn" in text(it, "#requests pre"))
        interrupt = browser.find_element(By.CSS_SELECTOR, "#requests .danger")
        interrupt.send_keys(Keys.ENTER)
        wait_for(browser, lambda it: interrupt.text == "Sure?")
        assert hung.is_alive()
        wait_for(browser, lambda it: not hung.is_alive() or press(interrupt))
        wait_for(browser, lambda it: "/burn" in text(it, "#errors"))
        click(browser, "#errors summary")
        wait_for(browser, lambda it: "hanging.py" in text(it, "#errors pre"))

        click(browser, "#more")
        click(browser, "#scale")
        wait_for(browser, lambda it: len(it.find_elements(By.CSS_SELECTOR, '.worker[data-state="ready"]')) == 3)
        click(browser, "#reload")
        server.wait_logged("INFO     Reloaded")
        wait_for(browser, lambda it: "replaced: 3 for reload" in text(it, "#apps"))
        assert is_silent(browser)

        assert server.stop() == 0
        wait_for(browser, lambda it: "trying again" in text(it, "#live"))


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_nothing_is_wider_than_the_window(browser, width):
    with running("behaviors:app", "--dashboard", workers=2) as server:
        for _ in range(3):
            server.get("/raise-before")
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(f"{server.address}/_snakepit/")
        wait_for(browser, lambda it: "/raise-before" in text(it, "#errors"))
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert is_silent(browser)


def test_the_token_and_another_page(browser):
    env = {"SNAKEPIT_DASHBOARD_TOKEN": TOKEN}
    with running("behaviors:app", "--dashboard", env=env, workers=1) as server, running("hanging:wsgi") as other:
        browser.get(f"{server.address}/_snakepit/")
        field = browser.find_element(By.ID, "token")
        field.send_keys("guess", Keys.ENTER)
        wait_for(browser, lambda it: "not the token" in text(it, ".wrong"))
        browser.find_element(By.ID, "token").send_keys(TOKEN, Keys.ENTER)
        wait_for(browser, lambda it: text(it, "#verdict-word") == "All is well")
        assert browser.execute_script("return document.cookie") == ""

        browser.get(f"{other.address}/")  # the same site, as browsers see it: only the port differs
        told = browser.execute_async_script(
            """
            const done = arguments[arguments.length - 1], at = arguments[0];
            const tell = (promise) => promise.then(() => "answered", (error) => error.name);
            const post = (more) => fetch(at + "reload", {method: "POST", credentials: "include", ...more});
            Promise.all([
              tell(post({})),
              tell(post({mode: "no-cors"})),
              tell(post({headers: {"X-Snakepit-Page": "x"}})),
              tell(fetch(at + "events", {credentials: "include"})),
              tell(fetch(at, {credentials: "include"})),
            ]).then(done);
            """,
            f"{server.address}/_snakepit/",
        )
        assert told == ["TypeError", "TypeError", "TypeError", "TypeError", "TypeError"]
        assert "Reload" not in server.err
        browser.get(f"{server.address}/_snakepit/?token={TOKEN}")
        wait_for(browser, lambda it: text(it, "#verdict-word") == "All is well")
        assert TOKEN not in browser.current_url
        assert TOKEN not in server.err + server.out
