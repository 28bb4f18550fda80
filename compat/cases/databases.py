"""Databases, with real servers behind the clients where there is one to be had."""

from compat.cases.files import open_sqlite, read_sqlite
from compat.registry import SharedFile, case, raises


@case("greenlet", "greenlet", exercised="switches, exceptions both ways, threads, greenlets collected unfinished")
def greenlet() -> None:
    import gc
    import threading

    import greenlet

    def count(start: int) -> str:
        for value in range(start, start + 100):
            main.switch(value)
        return "done"

    main = greenlet.getcurrent()
    counter = greenlet.greenlet(count)
    assert [counter.switch(5), *(counter.switch() for _ in range(99))] == list(range(5, 105))
    assert counter.switch() == "done"
    assert counter.dead

    def fail() -> None:
        raise LookupError("from a greenlet")

    raises(LookupError, greenlet.greenlet(fail).switch)
    waiting = greenlet.greenlet(lambda: main.switch("waiting"))
    assert waiting.switch() == "waiting"
    raises(KeyError, waiting.throw, KeyError)
    unfinished = [greenlet.greenlet(lambda: main.switch()) for _ in range(50)]
    for each in unfinished:
        each.switch()
    del unfinished, each
    gc.collect()
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(greenlet.greenlet(lambda: 7).switch()))
    thread.start()
    thread.join()
    assert seen == [7]


@case(
    "gevent",
    "gevent",
    exercised="greenlets, queues, time-outs, sockets, its thread pool, errors",
    with_=("greenlet",),
)
def gevent() -> None:
    import gevent
    import gevent.queue
    import gevent.socket
    import gevent.threadpool

    queue = gevent.queue.Queue()
    jobs = [gevent.spawn(queue.put, index) for index in range(50)]
    gevent.joinall(jobs, raise_error=True)
    assert sorted(queue.get() for _ in range(50)) == list(range(50))
    one, other = gevent.socket.socketpair()
    with one, other:
        reader = gevent.spawn(other.recv, 10)
        one.sendall(b"hello")
        assert reader.get(timeout=5) == b"hello"
    with gevent.Timeout(0.01, False):
        gevent.sleep(10)
        raise AssertionError("no time-out")
    raises(ZeroDivisionError, gevent.spawn(lambda: 1 / 0).get)
    pool = gevent.threadpool.ThreadPool(2)
    assert pool.apply(sum, ([1, 2],)) == 3
    raises(ZeroDivisionError, pool.apply, lambda: 1 / 0)
    pool.kill()
    gevent.get_hub().destroy(destroy_loop=True)


@case(
    "SQLAlchemy",
    "sqlalchemy",
    exercised="ORM and Core on sqlite and PostgreSQL (psycopg, asyncpg by greenlet), relations, roll-back, errors",
    services=("postgresql",),
    with_=("greenlet", "psycopg", "asyncpg"),
)
def sqlalchemy(url: str) -> None:
    import asyncio
    import uuid

    import sqlalchemy
    from sqlalchemy import ForeignKey, exc, func, select
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

    unique = uuid.uuid4().hex

    class Base(DeclarativeBase):
        pass

    class Author(Base):
        __tablename__ = f"author_{unique}"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(unique=True)
        books: Mapped[list["Book"]] = relationship(back_populates="author")

    class Book(Base):
        __tablename__ = f"book_{unique}"
        id: Mapped[int] = mapped_column(primary_key=True)
        title: Mapped[str]
        author_id: Mapped[int] = mapped_column(ForeignKey(Author.id))
        author: Mapped[Author] = relationship(back_populates="books")

    def fill(session: Session) -> None:
        session.add_all(
            Author(name=f"a{index}", books=[Book(title=f"t{index}.{n}") for n in range(5)]) for index in range(10)
        )
        session.commit()
        assert session.scalar(select(func.count()).select_from(Book)) == 50
        assert session.scalars(select(Author).where(Author.name == "a3")).one().books[0].title == "t3.0"
        session.add(Author(name="a3"))
        raises(exc.IntegrityError, session.flush)
        session.rollback()
        raises(exc.NoResultFound, session.scalars(select(Author).where(Author.name == "nobody")).one)
        raises(exc.DBAPIError, session.execute, sqlalchemy.text("select * from no_such_table"))
        session.rollback()

    for engine in (sqlalchemy.create_engine("sqlite://"), sqlalchemy.create_engine(url.replace("://", "+psycopg://"))):
        Base.metadata.create_all(engine)
        try:
            with Session(engine) as session:
                fill(session)
        finally:
            Base.metadata.drop_all(engine)
            engine.dispose()

    async def asynchronously() -> None:
        engine = create_async_engine(url.replace("://", "+asyncpg://"))
        try:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.create_all)
            async with AsyncSession(engine) as session:
                await session.run_sync(fill)
                author = (await session.scalars(select(Author).where(Author.name == "a4"))).one()
                assert len(await author.awaitable_attrs.books if hasattr(author, "awaitable_attrs") else [1]) == 1
                raises(exc.MissingGreenlet, lambda: author.books)
        finally:
            async with engine.begin() as connection:
                await connection.run_sync(Base.metadata.drop_all)
            await engine.dispose()

    asyncio.run(asynchronously())


@case(
    "psycopg",
    "psycopg_binary",
    of="psycopg-binary",
    exercised="psycopg[binary]: queries, COPY, pipelines, types, asyncio, roll-back, errors of the server",
    services=("postgresql",),
)
def psycopg(url: str) -> None:
    import asyncio
    import datetime
    import decimal
    import uuid

    import psycopg
    from psycopg.rows import dict_row
    from psycopg.types.json import Jsonb

    assert psycopg.pq.__impl__ == "binary"
    with psycopg.connect(url, row_factory=dict_row) as connection:
        connection.execute(
            "create temp table t (id int primary key, at timestamptz, n numeric, u uuid, j jsonb, a int[])"
        )
        row = (
            1,
            datetime.datetime.now(datetime.UTC),
            decimal.Decimal("1.50"),
            uuid.uuid4(),
            Jsonb({"a": [1]}),
            [1, None],
        )
        for binary in (False, True):
            found = connection.execute(
                "select %s as at, %s as n, %s as u, %s::jsonb as j, %s as a", row[1:], binary=binary
            )
            assert found.fetchone() == {"at": row[1], "n": row[2], "u": row[3], "j": {"a": [1]}, "a": [1, None]}
        with connection.cursor() as cursor, cursor.copy("copy t (id, n) from stdin") as copy:
            for index in range(500):
                copy.write_row((index, decimal.Decimal(index)))
        assert connection.execute("select sum(n) as s from t").fetchone() == {"s": sum(range(500))}
        connection.commit()
        with connection.pipeline():
            cursors = [connection.execute("select %s::int as v", (index,)) for index in range(20)]
            assert [cursor.fetchone()["v"] for cursor in cursors] == list(range(20))
        raises(psycopg.errors.UniqueViolation, connection.execute, "insert into t values (1)")
        connection.rollback()
        raises(psycopg.errors.SyntaxError, connection.execute, "selec")
        connection.rollback()
        raises(psycopg.ProgrammingError, connection.execute, "select %s", ())
    raises(psycopg.OperationalError, psycopg.connect, "postgresql://127.0.0.1:1/none", connect_timeout=2)

    async def asynchronously() -> None:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            cursor = await connection.execute("select generate_series(1, 300)")
            assert len(await cursor.fetchall()) == 300

    asyncio.run(asynchronously())


@case(
    "psycopg2",
    "psycopg2",
    distribution="psycopg2-binary",
    exercised="psycopg2-binary: queries, COPY, types in Python that raise, errors of the server",
    services=("postgresql",),
)
def psycopg2(url: str) -> None:
    import io

    import psycopg2
    import psycopg2.extensions
    import psycopg2.extras

    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
            cursor.execute("create temp table t (id int primary key, v text)")
            cursor.copy_expert(
                "copy t from stdin", io.StringIO("".join(f"{index}\tv{index}\n" for index in range(300)))
            )
            cursor.execute("select count(*) as n, max(id) as m from t where v <> %s", ("v1",))
            assert cursor.fetchone() == {"n": 299, "m": 299}
            psycopg2.extras.execute_values(cursor, "insert into t values %s", [(1000 + n, "x") for n in range(20)])

        def cast(value: str, cursor: object) -> object:
            raise LookupError("from a cast")

        kind = psycopg2.extensions.new_type((25,), "BROKEN", cast)
        with connection.cursor() as cursor:
            psycopg2.extensions.register_type(kind, cursor)
            cursor.execute("select 'a'::text")
            raises(LookupError, cursor.fetchone)
            raises(psycopg2.errors.UniqueViolation, cursor.execute, "insert into t values (1, 'x')")
        connection.rollback()
    finally:
        connection.close()
    raises(psycopg2.OperationalError, psycopg2.connect, "postgresql://127.0.0.1:1/none", connect_timeout=2)


@case(
    "asyncpg",
    "asyncpg",
    exercised="pool, prepared statements, COPY, types, transactions, errors of the server",
    services=("postgresql",),
)
def asyncpg(url: str) -> None:
    import asyncio
    import datetime
    import decimal
    import uuid

    import asyncpg

    async def run() -> None:
        async with asyncpg.create_pool(url, min_size=2, max_size=3) as pool:
            found = await asyncio.gather(*(pool.fetchval("select $1::int * 2", index) for index in range(50)))
            assert found == [2 * index for index in range(50)]
            async with pool.acquire() as connection:
                await connection.execute("create temp table t (id int primary key, n numeric)")
                await connection.copy_records_to_table(
                    "t", records=[(index, decimal.Decimal(index)) for index in range(300)]
                )
                assert await connection.fetchval("select sum(n) from t") == sum(range(300))
                row = (datetime.datetime.now(datetime.UTC), uuid.uuid4(), [1, None, 3], "ü")
                found = await connection.fetchrow("select $1::timestamptz a, $2::uuid b, $3::int[] c, $4::text d", *row)
                assert tuple(found) == row
                for statement, error in (
                    ("insert into t values (1, 1)", asyncpg.UniqueViolationError),
                    ("selec", asyncpg.PostgresSyntaxError),
                    ("select 1 / 0", asyncpg.DivisionByZeroError),
                ):
                    try:
                        async with connection.transaction():
                            await connection.execute(statement)
                    except error:
                        continue
                    raise AssertionError(f"{statement} did not raise")
                try:
                    await connection.fetchval("select $1::int", "text")
                except asyncpg.DataError:
                    pass
                else:
                    raise AssertionError("no DataError")

    asyncio.run(run())


@case(
    "aiosqlite",
    exercised="tables, functions in Python that raise, roll-back, errors, one file",
    file=SharedFile(open_sqlite, read_sqlite),
)
def aiosqlite() -> None:
    import asyncio
    import sqlite3

    import aiosqlite

    def fail(_: object) -> int:
        raise LookupError("from a function")

    async def run() -> None:
        async with aiosqlite.connect(":memory:") as database:
            await database.execute("create table t (id integer primary key, v text)")
            await database.executemany("insert into t values (?, ?)", [(index, f"v{index}") for index in range(200)])
            await database.create_function("fail", 1, fail)
            async with database.execute("select count(*) from t where v <> ?", ("v1",)) as cursor:
                assert await cursor.fetchone() == (199,)
            for statement, error in (
                ("insert into t values (1, 'x')", sqlite3.IntegrityError),
                ("select fail(1)", sqlite3.OperationalError),
                ("selec", sqlite3.OperationalError),
            ):
                try:
                    await database.execute_fetchall(statement)
                except error:
                    continue
                raise AssertionError(f"{statement} did not raise")

    asyncio.run(run())


@case("PyMySQL", exercised="queries, types, transactions, errors of the server (MariaDB)", services=("mariadb",))
def pymysql(url: str) -> None:
    import datetime
    import decimal
    import urllib.parse

    import pymysql

    place = urllib.parse.urlsplit(url)
    arguments = {"host": place.hostname, "port": place.port, "user": place.username, "database": place.path[1:]}
    with pymysql.connect(**arguments, cursorclass=pymysql.cursors.DictCursor) as connection:
        with connection.cursor() as cursor:
            cursor.execute("create temporary table t (id int primary key, n decimal(8, 2), at datetime, v text)")
            at = datetime.datetime(2024, 1, 2, 3, 4, 5)
            rows = [(index, decimal.Decimal("1.50"), at, "ü") for index in range(200)]
            cursor.executemany("insert into t values (%s, %s, %s, %s)", rows)
            cursor.execute("select * from t where id = %s", (7,))
            assert cursor.fetchone() == {"id": 7, "n": decimal.Decimal("1.50"), "at": at, "v": "ü"}
            raises(pymysql.IntegrityError, cursor.execute, "insert into t (id) values (1)")
            raises(pymysql.ProgrammingError, cursor.execute, "selec")
        connection.rollback()
    raises(pymysql.OperationalError, pymysql.connect, host="127.0.0.1", port=1, connect_timeout=2)


@case(
    "mysqlclient",
    "MySQLdb",
    exercised="queries, types, converters, errors of the server (MariaDB)",
    services=("mariadb",),
)
def mysqlclient(url: str) -> None:
    import datetime
    import decimal
    import urllib.parse

    import MySQLdb

    place = urllib.parse.urlsplit(url)
    arguments = {"host": place.hostname, "port": place.port, "user": place.username, "database": place.path[1:]}
    connection = MySQLdb.connect(**arguments, charset="utf8mb4")
    try:
        cursor = connection.cursor()
        cursor.execute("create temporary table t (id int primary key, n decimal(8, 2), at datetime, v text)")
        at = datetime.datetime(2024, 1, 2, 3, 4, 5)
        cursor.executemany(
            "insert into t values (%s, %s, %s, %s)", [(n, decimal.Decimal("1.50"), at, "ü") for n in range(200)]
        )
        cursor.execute("select * from t where id = %s", (7,))
        assert cursor.fetchone() == (7, decimal.Decimal("1.50"), at, "ü")
        raises(MySQLdb.IntegrityError, cursor.execute, "insert into t (id) values (1)")
        raises(MySQLdb.ProgrammingError, cursor.execute, "selec")
        cursor.close()
    finally:
        connection.close()
    raises(MySQLdb.OperationalError, MySQLdb.connect, host="127.0.0.1", port=1, connect_timeout=2)


@case(
    "redis",
    "hiredis",
    of="hiredis",
    exercised="redis-py with hiredis: commands, pipelines, publish and subscribe, Lua, asyncio, errors of the server",
    services=("redis",),
    with_=("redis",),
)
def redis(url: str) -> None:
    import asyncio
    import uuid

    import hiredis
    import redis
    import redis.asyncio
    from redis.utils import HIREDIS_AVAILABLE

    assert HIREDIS_AVAILABLE
    key = uuid.uuid4().hex
    with redis.Redis.from_url(url, decode_responses=True) as client:
        client.set(key, "grüße", ex=60)
        assert client.get(key) == "grüße"
        with client.pipeline() as pipeline:
            for index in range(100):
                pipeline.hset(key + "h", f"f{index}", index)
            pipeline.hgetall(key + "h")
            assert len(pipeline.execute()[-1]) == 100
        raises(redis.ResponseError, client.lpush, key, "not a list")
        assert client.eval("return {1, {2, 'x'}}", 0) == [1, [2, "x"]]
        raises(redis.ResponseError, client.eval, "return nonsense(", 0)
        with client.pubsub() as subscription:
            subscription.subscribe(key)
            assert subscription.get_message(timeout=5)["type"] == "subscribe"
            client.publish(key, "news")
            assert subscription.get_message(timeout=5)["data"] == "news"
        client.delete(key, key + "h")
    raises(redis.ConnectionError, redis.Redis(port=1, retry=None).ping)
    reader = hiredis.Reader()
    reader.feed(b"!nonsense\r\n")
    raises(hiredis.ProtocolError, reader.gets)

    async def asynchronously() -> None:
        async with redis.asyncio.Redis.from_url(url) as client:
            found = await asyncio.gather(*(client.incrby(key, 1) for _ in range(20)))
            assert sorted(found) == list(range(1, 21))
            await client.delete(key)

    asyncio.run(asynchronously())


@case(
    "pymongo",
    "bson",
    "pymongo",
    exercised="BSON both ways; a client's failing connection. No MongoDB server: Debian has none",
)
def pymongo() -> None:
    import datetime

    import bson
    import pymongo
    import pymongo.errors

    assert bson.has_c()
    value = {
        "_id": bson.ObjectId(),
        "n": [1, 2.5, None, True, -(2**40)],
        "at": datetime.datetime(2024, 1, 2, 3, 4, 5),
        "sub": {"b": b"bytes", "t": "ü" * 100},
        "d": bson.Decimal128("1.50"),
    }
    assert bson.decode(bson.encode(value)) == value
    assert len(bson.decode_all(bson.encode(value) * 50)) == 50
    raises(bson.errors.InvalidDocument, bson.encode, {"a": object()})
    raises(bson.errors.InvalidBSON, bson.decode, b"\x05\x00\x00\x00\x01")
    raises(OverflowError, bson.encode, {"a": 2**70})
    with pymongo.MongoClient("mongodb://127.0.0.1:1", serverSelectionTimeoutMS=50) as client:
        raises(pymongo.errors.ServerSelectionTimeoutError, client.admin.command, "ping")


@case(
    "celery",
    exercised="the client's side: signatures, tasks sent to and read from Redis, eager tasks that raise",
    services=("redis",),
)
def celery(url: str) -> None:
    import uuid

    import celery
    import redis

    name = f"compat-{uuid.uuid4().hex}"
    app = celery.Celery(name, broker=url, backend=url)
    app.conf.task_default_queue = name

    @app.task(name=name)
    def add(one: int, other: int) -> int:
        return one + other

    sent = [add.delay(index, 1) for index in range(5)]
    assert sent[0].state == "PENDING"
    raises(celery.exceptions.TimeoutError, sent[0].get, timeout=0.05)
    with redis.Redis.from_url(url) as client:
        assert client.llen(name) == 5
        client.delete(name)
    for result in sent:
        result.forget()
    app.conf.task_always_eager = True
    assert add.delay(1, 2).get() == 3
    raises(TypeError, add.delay(1, None).get)
    app.close()
