"""What makes error pages, as a worker with `--debug` has it."""

from snakepit.worker.error_page.choice import error_pages

SETTINGS = {
    "debug": True,
    "module": "main",
    "attribute": "app",
    "factory": False,
    "app": "",
    "number": 3,
    "runtime": "interpreter",
    "page_script": "",
}


def make(interface="asgi", **settings):
    return error_pages({**SETTINGS, **settings}, interface)
