from fastapi import FastAPI
from pydantic import BaseModel

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
