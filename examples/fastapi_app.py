"""FastAPI: pydantic both ways, in workers that each have a private copy of its C extension.

pip install fastapi
snakepit check fastapi_app:app
snakepit run fastapi_app:app --interpreters 2
curl http://127.0.0.1:8000/orders -H 'Content-Type: application/json' -d '{"item": "tea", "count": 3}'
"""

import uuid

from fastapi import FastAPI
from pydantic import BaseModel, Field

PRICES = {"tea": 1.5, "coffee": 2.0}
WORKER = uuid.uuid4().hex[:8]  # another one in each worker, since each imports this module by itself

app = FastAPI()


class Order(BaseModel):
    item: str
    count: int = Field(ge=1, le=100)


class Receipt(BaseModel):
    order: Order
    total: float
    worker: str


@app.post("/orders")
async def order(order: Order) -> Receipt:
    return Receipt(order=order, total=order.count * PRICES.get(order.item, 1.0), worker=WORKER)
