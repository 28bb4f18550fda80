"""Why packages fail: what was found out about each by hand, for the page. Keyed by case.

An entry stands on the page only while the case fails.
"""

CAUSES = {
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
