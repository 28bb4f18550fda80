"""An app as people have them: FastAPI and pydantic, SQLAlchemy on PostgreSQL through psycopg, JWTs signed with
cryptography, answers written by orjson. SHOP_DATABASE is the URL of a PostgreSQL database."""

import os
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import ForeignKey, String, insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PRODUCTS = 100
KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)  # every worker must know the same
url = os.environ["SHOP_DATABASE"].replace("postgresql:", "postgresql+psycopg:")
engine = create_async_engine(url, pool_size=32, max_overflow=0)
session_factory = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    price: Mapped[float]


class Sale(Base):
    __tablename__ = "sales"
    id: Mapped[int] = mapped_column(primary_key=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    buyer: Mapped[str] = mapped_column(String(50))
    count: Mapped[int]


class Orjson(JSONResponse):
    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


class Order(BaseModel):
    product: int = Field(ge=1)
    count: int = Field(ge=1, le=1000)
    note: str | None = None


class Receipt(BaseModel):
    product: str
    total: float


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with engine.begin() as connection:
        await connection.execute(text("select pg_advisory_xact_lock(1)"))  # all workers start at once
        await connection.run_sync(Base.metadata.create_all)
        if not (await connection.execute(select(Product.id).limit(1))).first():
            products = [{"id": n, "name": f"product {n}", "price": n / 4} for n in range(1, PRODUCTS + 1)]
            await connection.execute(insert(Product), products)
    yield
    await engine.dispose()


app = FastAPI(lifespan=lifespan, default_response_class=Orjson)


async def session():
    async with session_factory() as opened:
        yield opened


async def user(authorization: Annotated[str, Header()]) -> str:
    try:
        return str(jwt.decode(authorization.removeprefix("Bearer "), KEY.public_key(), algorithms=["EdDSA"])["sub"])
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, str(error)) from None


User = Annotated[str, Depends(user)]
Session = Annotated[AsyncSession, Depends(session)]


@app.post("/token/{name}")
async def token(name: str) -> dict[str, str]:
    return {"token": jwt.encode({"sub": name}, KEY, algorithm="EdDSA")}


@app.get("/me")
async def me(user: User) -> dict[str, str]:
    return {"user": user}


@app.get("/products/{number}")
async def product(number: int, user: User, session: Session) -> dict[str, object]:
    found = await session.get(Product, number)
    if found is None:
        raise HTTPException(404, "no such product")
    return {"name": found.name, "price": found.price}


@app.post("/orders")
async def order(order: Order, user: User, session: Session) -> Receipt:
    found = await session.get(Product, order.product)
    if found is None:
        raise HTTPException(404, "no such product")
    session.add(Sale(product_id=found.id, buyer=user, count=order.count))
    await session.commit()
    return Receipt(product=found.name, total=found.price * order.count)
