"""A small FastAPI app: pydantic both ways."""

import asyncio

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float


@app.get("/items/{name}")
async def item(name: str, price: float = 1.5) -> Item:
    return Item(name=name, price=price)


@app.post("/items")
async def add(item: Item) -> Item:
    return item


@app.get("/stop-loop")
async def stop_loop() -> None:
    """End the worker, as no app should."""
    asyncio.get_running_loop().stop()
    await asyncio.sleep(60)
