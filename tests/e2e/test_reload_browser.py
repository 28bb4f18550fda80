"""`--reload-browser`: pages reload themselves, as the script's requests see it, and in a real browser."""

import re
from contextlib import contextmanager

import pytest
from browsing import NEEDS_BROWSER, wait_for
from selenium.webdriver.common.by import By
from support import BROKEN, ONE_RUNTIME, Client, Server, reloading

pytestmark = ONE_RUNTIME

ASGI = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    fields = [(b"content-type", b"text/html; charset=utf-8"), (b"etag", b'"same"'), {policy}]
    if (b"if-none-match", b'"same"') in scope["headers"]:
        await send({{"type": "http.response.start", "status": 304, "headers": fields}})
        await send({{"type": "http.response.body"}})
        return
    await send({{"type": "http.response.start", "status": 200, "headers": fields}})
    await send({{"type": "http.response.body", "body": b"<!DOCTYPE html><p id=shown>", "more_body": True}})
    await send({{"type": "http.response.body", "body": b"{body}</p>"}})
"""

WSGI = """
def app(environ, start_response):
    page = b"<!DOCTYPE html><html><body><p id=shown>{body}</p></body></html>"
    fields = [("Content-Type", "text/html"), ("Content-Length", str(len(page))), ("ETag", '"same"')]
    if environ.get("HTTP_IF_NONE_MATCH") == '"same"':
        start_response("304 Not Modified", fields)
        return []
    start_response("200 OK", fields)
    return [page]
"""

STRICT = """(b"content-security-policy", b"default-src 'none'; script-src 'self'; connect-src 'self'")"""
NONCE = """(b"content-security-policy", b"script-src 'nonce-2726c7f26c' 'strict-dynamic'; connect-src 'self'")"""
SOURCES = {"asgi": ASGI.replace("{policy}", STRICT), "nonce": ASGI.replace("{policy}", NONCE), "wsgi": WSGI}
sources = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


def events_of(page):
    """Where the script of a page waits."""
    return re.search(r'src="([^"]+)/reload\.js\?([0-9a-f]+\.\d+)"', page.text).expand(r"\1/reload?\2")


@contextmanager
def waiting(server, events):
    """A browser that waits for a newer version; gives what reads the rest."""
    with Client(server) as client:
        client.send(f"GET {events} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"waiting\n\n\r\n"):
            head += client.file.readline()
        assert b"text/event-stream" in head
        yield client._chunked


@sources
def test_who_waits_hears_of_the_new_version(site_app, source):
    site_app.save(source.format(body="1"))
    with reloading(site_app.folder, "--reload-browser") as server:
        page = server.get("/", 'If-None-Match: "same"', "Accept-Encoding: gzip")
        assert page.status == 200
        assert "etag" not in page.headers
        assert page.headers["cache-control"] == "no-store"
        events = events_of(page)
        assert (
            server.get(events.replace("/reload?", "/reload.js?")).headers["content-type"].startswith("text/javascript")
        )
        with waiting(server, events) as rest:
            site_app.save(source.format(body="2"))
            told = rest()
        assert told.startswith(b"event: newer\n")
        page = server.get("/")
        assert "2</p>" in page.text
        assert told.decode().split("data: ")[1].strip() == events_of(page).partition("?")[2]
        missed = server.get(events)
        assert b"event: newer" in missed.body, "who comes late hears of it, too"


def test_a_reload_that_fails_is_no_news(site_app):
    site_app.save(WSGI.format(body="1"))
    with reloading(site_app.folder, "--reload-browser") as server:
        events = events_of(server.get("/"))
        with waiting(server, events) as rest:
            site_app.save(BROKEN)
            server.wait_logged("Not reloaded; still serving the previous version")
            with waiting(server, events) as other:
                site_app.save(WSGI.format(body="2"))
                assert b"newer" in rest()
                assert b"newer" in other()
        assert "2</p>" in server.get("/").text


def test_who_waits_does_not_keep_the_server_from_stopping_nor_workers_from_ending(site_app):
    site_app.save(WSGI.format(body="1"))
    options = ("--reload-browser", "--threads", "1", "--limit-concurrency", "1", "--timeout-graceful-shutdown", "60")
    with reloading(site_app.folder, *options) as server:
        events = events_of(server.get("/"))
        with waiting(server, events), waiting(server, events), waiting(server, events) as rest:
            assert server.get("/").status == 200, "they take no place"
            assert server.stop() == 0
            assert rest() == b""
        assert "in flight" not in server.err


def test_what_is_no_page_is_left_alone(site_app):
    site_app.save(WSGI.format(body="1").replace("text/html", "text/plain"))
    with reloading(site_app.folder, "--reload-browser", "--root-path", "/shop") as server:
        answer = server.get("/")
        assert b"script" not in answer.body
        assert answer.headers["etag"] == '"same"'
        site_app.save(WSGI.format(body="2"))
        server.wait_logged("Reloaded in")
        assert b"script" not in server.get("/", "Sec-Fetch-Dest: empty").body
        assert b"script" in server.get("/", "Sec-Fetch-Dest: document").body
        assert 'src="/shop/__snakepit__/reload.js?' in server.get("/").text
        assert server.get("/", 'If-None-Match: "same"', "Sec-Fetch-Dest: empty").status == 304
        assert server.get("/", method="HEAD").headers["etag"] == '"same"'


def test_without_reload_it_is_refused():
    server = Server("behaviors:app", "--reload-browser", "--port", "0")
    try:
        assert server.wait_ended() == 2
        assert server.err == "Error: reload_browser needs reload\n"
    finally:
        server.kill()


def shown(it):
    found = it.find_elements(By.ID, "shown")
    return found[0].text if found else it.find_element(By.TAG_NAME, "body").text


@NEEDS_BROWSER
@sources
def test_a_page_in_a_browser_shows_what_was_saved(browser, site_app, source):
    site_app.save(source.format(body="one"))
    with reloading(site_app.folder, "--reload-browser") as server:
        browser.get(f"{server.address}/")
        assert shown(browser) == "one"
        for body in ("two", "three"):
            site_app.save(source.format(body=body))
            wait_for(browser, lambda it, body=body: shown(it) == body)
        site_app.save(BROKEN)
        server.wait_logged("Not reloaded; still serving the previous version")
        browser.execute_script("window.same = true")
        site_app.save(source.format(body="four"))
        wait_for(browser, lambda it: shown(it) == "four")
        assert not browser.execute_script("return window.same || false")
        assert server.stop() == 0


@NEEDS_BROWSER
def test_the_page_with_the_error_makes_room_for_the_app(browser, site_app):
    site_app.save(BROKEN)
    with reloading(site_app.folder, "--reload-browser", ready=0) as server:
        browser.get(f"{server.address}/")
        assert "SyntaxError" in shown(browser)
        site_app.save("raise ValueError('another')\n")
        wait_for(browser, lambda it: "ValueError: another" in shown(it))
        site_app.save(WSGI.format(body="mended"))
        wait_for(browser, lambda it: shown(it) == "mended")


@NEEDS_BROWSER
def test_a_page_comes_back_after_the_server_was_restarted(browser, site_app):
    site_app.save(WSGI.format(body="one"))
    with reloading(site_app.folder, "--reload-browser") as server:
        port = server.port
        browser.get(f"{server.address}/")
        assert shown(browser) == "one"
        assert server.stop() == 0
    site_app.save(WSGI.format(body="two"))
    with reloading(site_app.folder, "--reload-browser", "--port", str(port)):
        wait_for(browser, lambda it: shown(it) == "two")
