"""Apps that keep metrics by prometheus-client, each as its framework's users do."""

from fastapi import FastAPI
from flask import Flask
from prometheus_client import REGISTRY, Counter, Gauge
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_flask_exporter import PrometheusMetrics

API_METRICS, FLASK_METRICS = "/own-metrics", "/own-metrics"

visits = Counter("visits", "Visits.", ["kind"])
level = Gauge("level", "One for each worker.")
level.set(1)
total = Gauge("total", "The sum of all workers.", multiprocess_mode="livesum")
total.set(2)
highest = Gauge("highest", "The most of all workers.", multiprocess_mode="max")
highest.set(3)


def make_api():
    api = FastAPI()
    Instrumentator().instrument(api).expose(api, API_METRICS)

    @api.get("/{kind}")
    async def visit(kind: str):
        visits.labels(kind).inc()
        return "visited"

    return api


def make_flask():
    app = Flask(__name__)
    PrometheusMetrics(app, path=FLASK_METRICS, registry=REGISTRY)

    @app.get("/<kind>")
    def visit(kind):
        visits.labels(kind).inc()
        return "visited"

    return app
