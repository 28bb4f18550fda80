"""Apps that report their errors by Sentry's SDK, which each worker sets up as its documentation says."""

import os

import sentry_sdk
from fastapi import FastAPI
from flask import Flask

sentry_sdk.init(dsn=os.environ["SENTRY_DSN"], traces_sample_rate=1.0)


def make_api():
    api = FastAPI()

    @api.get("/fail/{name}")
    async def fail(name: str):
        sentry_sdk.set_user({"id": name})
        raise RuntimeError(name)

    @api.get("/thread/{name}")
    def in_a_thread(name: str):
        sentry_sdk.capture_message(f"hello {name}")
        return "done"

    return api


def make_flask():
    app = Flask(__name__)

    @app.get("/fail/<name>")
    def fail(name):
        sentry_sdk.set_user({"id": name})
        raise RuntimeError(name)

    @app.get("/thread/<name>")
    def in_a_thread(name):
        sentry_sdk.capture_message(f"hello {name}")
        return "done"

    return app
