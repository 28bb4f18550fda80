"""A FastAPI app at /api."""

import fastapi

app = fastapi.FastAPI()


@app.get("/items/{name}")
async def item(name: str, price: float) -> dict[str, str | float]:
    return {"app": "api", "fastapi": fastapi.__version__, "name": name, "price": price}
