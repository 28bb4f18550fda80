"""The causes of packages' failures, found by hand, for the page. Keyed by case.

The page shows an entry only while the case fails.
"""

_BY_PROCESS = (
    "A database in a file. Locks that belong to the process (`fcntl`) keep other processes away, and a list of open "
    "files keeps the library from opening a file twice. Each copy has a list of its own, and the locks do not work "
    "within the process: {}. `--runtime process` is the way out."
)

CAUSES = {
    "apsw": _BY_PROCESS.format(
        "two workers write as if each were alone; Python's own `sqlite3` is one for all workers"
    ),
    "duckdb": _BY_PROCESS.format("each worker writes its own version of the file, and the last one stays"),
    "h5py": (
        "`libhdf5.so` is an ordinary shared library, loaded once in a process, and not made for several threads. h5py "
        "guards it with a lock, of which each worker has its own. `--runtime process` is the way out."
    ),
    "lmdb": _BY_PROCESS.format(
        "the table of readers goes by process; LMDB's manual forbids to open a file twice in one"
    ),
    "pysqlite3": _BY_PROCESS.format(
        "two workers write as if each were alone; Python's own `sqlite3` is one for all workers"
    )
    + (
        " For 3.15 there is no wheel. One that is built uses the system's SQLite, of which a process has one, and "
        "loses nothing; but a wheel brings its own again."
    ),
    "tokenizers": (
        "Training from an iterator reads it in threads of its own (Rayon), which attach to the main interpreter: "
        "Python objects are made in one interpreter and freed in another. With `TOKENIZERS_PARALLELISM=false` it uses "
        'no such threads: see "tokenizers without threads" above.'
    ),
    "pyarrow": (
        "Two causes. `libarrow_python.so` is an ordinary shared library which holds Python objects; the dynamic "
        "loader loads it once in a process, by its name, so the workers' copies of the extension modules share it. "
        "And Arrow's own threads call Python (they read and free file objects, for instance), which attaches them to "
        "the main interpreter: one worker is enough for that to crash."
    ),
    "pandas with pyarrow": (
        "As for pyarrow. With `--extensions vetted`, pyarrow is refused and pandas goes without it, also where it is "
        "installed."
    ),
}
