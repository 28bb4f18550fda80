"""Users with passwords and tokens, and their items, in a PostgreSQL database."""

import asyncio
import uuid
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

import jwt
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import EmailStr
from pydantic_settings import BaseSettings
from sqlmodel import Field, Relationship, Session, SQLModel, create_engine, select


class Settings(BaseSettings):
    database_url: str
    secret_key: str = "of this test alone, and not shorter than 32"


settings = Settings()
engine = create_engine(settings.database_url)
passwords = PasswordHash((Argon2Hasher(), BcryptHasher()))


class UserIn(SQLModel):
    email: EmailStr = Field(unique=True, index=True)
    password: str = Field(min_length=8)


class User(SQLModel, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    email: str = Field(unique=True, index=True)
    hashed: str
    items: list["Item"] = Relationship(back_populates="owner", cascade_delete=True)


class UserOut(SQLModel):
    id: uuid.UUID
    email: EmailStr


class ItemIn(SQLModel):
    title: str = Field(min_length=1, max_length=255)


class Item(ItemIn, table=True):
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    owner_id: uuid.UUID = Field(foreign_key="user.id", nullable=False, ondelete="CASCADE")
    owner: User | None = Relationship(back_populates="items")


class ItemOut(ItemIn):
    id: uuid.UUID
    owner_id: uuid.UUID


def session():
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(session)]
Token = Annotated[str, Depends(OAuth2PasswordBearer(tokenUrl="/api/login/access-token"))]


def current_user(database: Database, token: Token) -> User:
    try:
        claims = jwt.decode(token, settings.secret_key, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(403, "Could not validate credentials") from None
    user = database.get(User, uuid.UUID(claims["sub"]))
    if user is None:
        raise HTTPException(404, "User not found")
    return user


CurrentUser = Annotated[User, Depends(current_user)]
api = APIRouter(prefix="/api")


@api.post("/users/signup", response_model=UserOut)
def sign_up(database: Database, given: UserIn):
    if database.exec(select(User).where(User.email == given.email)).first():
        raise HTTPException(400, "The user with this email already exists in the system")
    user = User(email=given.email, hashed=passwords.hash(given.password))
    database.add(user)
    database.commit()
    database.refresh(user)
    return user


@api.post("/login/access-token")
def log_in(database: Database, form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    user = database.exec(select(User).where(User.email == form.username)).first()
    if user is None or not passwords.verify(form.password, user.hashed):
        raise HTTPException(400, "Incorrect email or password")
    claims = {"sub": str(user.id), "exp": datetime.now(UTC) + timedelta(hours=1)}
    return {"access_token": jwt.encode(claims, settings.secret_key, algorithm="HS256"), "token_type": "bearer"}


@api.get("/users/me", response_model=UserOut)
def me(user: CurrentUser):
    return user


@api.post("/items/", response_model=ItemOut)
def add_item(database: Database, user: CurrentUser, given: ItemIn):
    item = Item.model_validate(given, update={"owner_id": user.id})
    database.add(item)
    database.commit()
    database.refresh(item)
    return item


@api.get("/items/", response_model=list[ItemOut])
def items(database: Database, user: CurrentUser):
    return database.exec(select(Item).where(Item.owner_id == user.id).order_by(Item.title)).all()


@api.get("/events")
async def events(user: CurrentUser):
    async def ticks():
        while True:
            yield "data: tick\n\n"
            await asyncio.sleep(0.2)

    return StreamingResponse(ticks(), media_type="text/event-stream")


@asynccontextmanager
async def lifespan(app):
    SQLModel.metadata.create_all(engine)
    yield
    engine.dispose()


app = FastAPI(lifespan=lifespan)
app.include_router(api)
