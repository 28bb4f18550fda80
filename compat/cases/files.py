"""Databases that are files, which each worker opens for itself. For what is asked of those, see `compat.sharing`."""

from collections.abc import Callable, Iterable

from compat.registry import SharedFile, case, raises

type Opened = tuple[Callable[[str], object], Callable[[], object]]


def open_duckdb(path: str) -> Opened:
    import duckdb

    connection = duckdb.connect(path)
    connection.execute("create table if not exists t (k varchar)")
    return lambda key: connection.execute("insert into t values (?)", [key]), connection.close


def read_duckdb(path: str) -> Iterable[str]:
    import duckdb

    with duckdb.connect(path) as connection:
        return [key for (key,) in connection.execute("select k from t").fetchall()]


@case(
    "duckdb",
    "duckdb",
    "_duckdb",
    exercised="tables, files in memory, functions in Python that raise, transactions, errors, one file",
    file=SharedFile(open_duckdb, read_duckdb),
)
def duckdb() -> None:
    import duckdb

    with duckdb.connect(":memory:") as connection:
        connection.execute("create table t as select range as v, 'k' || (range % 4) as k from range(1000)")
        assert connection.execute("select sum(v) from t where k = 'k1'").fetchall()[0] == (sum(range(1, 1000, 4)),)
        assert connection.sql("from t select k, count(*) group by k order by k").fetchall()[3] == ("k3", 250)
        connection.executemany("insert into t values (?, ?)", [(index, "x") for index in range(20)])
        assert connection.execute("select {'a': [1, 2]}").fetchall()[0] == ({"a": [1, 2]},)
        connection.create_function("twice", lambda value: 2 * value, ["BIGINT"], "BIGINT")
        assert connection.execute("select twice(21)").fetchall()[0] == (42,)

        def fail(_: object) -> int:
            raise LookupError("from a function")

        connection.create_function("fail", fail, ["BIGINT"], "BIGINT")
        assert "from a function" in raises(duckdb.Error, lambda: connection.execute("select fail(1)").fetchall())
        raises(duckdb.ParserException, connection.execute, "selec 1")
        raises(duckdb.CatalogException, connection.execute, "select * from no_such_table")
        connection.begin()
        connection.execute("delete from t")
        connection.rollback()
        assert connection.execute("select count(*) from t").fetchall()[0] == (1020,)


def open_sqlite(path: str, module: str = "sqlite3") -> Opened:
    from importlib import import_module

    connection = import_module(module).connect(path, timeout=30)
    connection.execute("create table if not exists t (k text)")

    def add(key: str) -> None:
        with connection:
            connection.execute("insert into t values (?)", (key,))

    return add, connection.close


def read_sqlite(path: str) -> Iterable[str]:
    import sqlite3

    connection = sqlite3.connect(path)
    assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
    return [key for (key,) in connection.execute("select k from t")]


def open_apsw(path: str) -> Opened:
    import apsw

    connection = apsw.Connection(path)
    connection.set_busy_timeout(30_000)
    connection.execute("create table if not exists t (k text)")
    return lambda key: connection.execute("insert into t values (?)", (key,)), connection.close


@case(
    "apsw",
    "apsw",
    exercised="tables, functions in Python that raise, virtual tables, roll-back, errors, one file",
    file=SharedFile(open_apsw, read_sqlite),
)
def apsw() -> None:
    import apsw

    connection = apsw.Connection(":memory:")
    connection.execute("create table t (id integer primary key, v text unique)")
    with connection:
        connection.executemany("insert into t (v) values (?)", [(f"v{index}",) for index in range(200)])
    assert connection.execute("select count(*), max(id) from t").get == (200, 200)
    connection.create_scalar_function("twice", lambda value: 2 * value)
    assert connection.execute("select twice(21)").get == 42

    def fail(*_: object) -> None:
        raise LookupError("from a function")

    connection.create_scalar_function("fail", fail)
    assert "from a function" in raises(LookupError, connection.execute, "select fail()")
    raises(apsw.ConstraintError, connection.execute, "insert into t (v) values ('v1')")
    raises(apsw.SQLError, connection.execute, "selec 1")
    try:
        with connection:
            connection.execute("delete from t")
            raise KeyError
    except KeyError:
        pass
    assert connection.execute("select count(*) from t").get == 200
    connection.close()


@case(
    "pysqlite3",
    "pysqlite3",
    exercised="tables, functions in Python that raise, roll-back, errors, one file",
    file=SharedFile(lambda path: open_sqlite(path, "pysqlite3"), read_sqlite),
)
def pysqlite3() -> None:
    use_sqlite("pysqlite3")


def use_sqlite(name: str) -> None:
    """Use a module with the interface of the standard library's."""
    from importlib import import_module

    module = import_module(name)
    connection = module.connect(":memory:")
    with connection:
        connection.execute("create table t (id integer primary key, v text unique)")
        connection.executemany("insert into t (v) values (?)", [(f"v{index}",) for index in range(200)])
    assert connection.execute("select count(*), max(id) from t").fetchone() == (200, 200)
    connection.create_function("twice", 1, lambda value: 2 * value)
    assert connection.execute("select twice(21)").fetchone() == (42,)
    connection.create_function("fail", 0, lambda: [][0])
    raises(module.OperationalError, connection.execute, "select fail()")
    raises(module.IntegrityError, connection.execute, "insert into t (v) values ('v1')")
    raises(module.OperationalError, connection.execute, "selec 1")
    connection.rollback()
    connection.execute("delete from t")
    connection.rollback()
    assert connection.execute("select count(*) from t").fetchone() == (200,)
    connection.close()


def open_lmdb(path: str) -> Opened:
    import lmdb

    environment = lmdb.open(path, subdir=False, map_size=2**20)

    def add(key: str) -> None:
        with environment.begin(write=True) as transaction:
            transaction.put(key.encode(), b"")

    return add, environment.close


def read_lmdb(path: str) -> Iterable[str]:
    import lmdb

    with lmdb.open(path, subdir=False, map_size=2**20) as environment, environment.begin() as transaction:
        return [key.decode() for key, _ in transaction.cursor()]


@case(
    "lmdb",
    "lmdb",
    exercised="transactions, cursors, several databases, roll-back, errors, one file",
    file=SharedFile(open_lmdb, read_lmdb),
)
def lmdb() -> None:
    import tempfile

    import lmdb

    with tempfile.TemporaryDirectory() as folder, lmdb.open(folder, max_dbs=2, map_size=2**22) as environment:
        other = environment.open_db(b"other", dupsort=True)
        with environment.begin(write=True) as transaction:
            for index in range(300):
                transaction.put(b"%03d" % index, b"v" * index)
                transaction.put(b"k", b"%03d" % index, db=other)
        with environment.begin(buffers=True) as transaction:
            assert bytes(transaction.get(b"007")) == b"v" * 7
            assert transaction.stat(other)["entries"] == 300
            cursor = transaction.cursor()
            assert cursor.set_range(b"29")
            assert sum(1 for _ in cursor) == 11  # the name of the other database included
            raises(lmdb.ReadonlyError, transaction.put, b"a", b"b")
        try:
            with environment.begin(write=True) as transaction:
                transaction.put(b"never", b"")
                raise KeyError
        except KeyError:
            pass
        with environment.begin() as transaction:
            assert transaction.get(b"never") is None
        with environment.begin(write=True) as transaction:
            raises(lmdb.BadValsizeError, transaction.put, b"", b"")


def open_h5py(path: str) -> Opened:
    import h5py

    file = h5py.File(path, "a")

    def add(key: str) -> None:
        file.create_dataset(key, data=1)
        file.flush()

    return add, file.close


def read_h5py(path: str) -> Iterable[str]:
    import h5py

    with h5py.File(path, "r") as file:
        return list(file)


@case(
    "h5py",
    "h5py",
    exercised="groups, arrays, attributes, compression, slices, errors, one file",
    with_=("numpy",),
    file=SharedFile(open_h5py, read_h5py),
)
def h5py() -> None:
    import io

    import h5py
    import numpy

    store = io.BytesIO()
    with h5py.File(store, "w") as file:
        group = file.create_group("a/b")
        data = group.create_dataset("d", data=numpy.arange(10_000).reshape(100, 100), compression="gzip", chunks=True)
        data.attrs["unit"] = "m"
        group.create_dataset("s", data=["x", "y"], dtype=h5py.string_dtype())
        raises(ValueError, group.create_dataset, "d", data=1)
        raises(KeyError, file.__getitem__, "missing")
    with h5py.File(store, "r") as file:
        assert file["a/b/d"][5, 10:20].sum() == sum(range(510, 520))
        assert file["a/b/d"].attrs["unit"] == "m"
        assert list(file["a/b/s"].asstr()) == ["x", "y"]
        assert file["a"].visititems(lambda name, item: name if name.endswith("s") else None) == "b/s"
    raises(OSError, h5py.File, io.BytesIO(b"this is no such file"), "r")
