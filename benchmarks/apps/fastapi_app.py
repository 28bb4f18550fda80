from fastapi import FastAPI
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel

from benchmarks.apps.work import worker_slowly

app = FastAPI()


class Order(BaseModel):
    item: str
    count: int
    price: float
    tags: list[str] = []


class Receipt(BaseModel):
    order: Order
    total: float


@app.post("/orders")
async def order(order: Order) -> Receipt:
    return Receipt(order=order, total=order.count * order.price)


@app.get("/worker", response_class=PlainTextResponse)
async def worker():
    return worker_slowly()
