"""One target in a process of its own: `python -m fuzz.engine NAME FOLDER [OPTION OF LIBFUZZER …]`.

Atheris puts counters into the package and the libraries that parse for it, and libFuzzer keeps the inputs that reach
new code. It ends at the first input for which the target raises, takes too long or takes too much memory, and leaves
that input in FOLDER.
"""

import sys
from pathlib import Path

import atheris

from fuzz.target import load

INSTRUMENTED = ["snakepit", "fuzz.targets", "h11", "wsproto", "tomllib"]
"""The targets, too: their oracles branch where code can be wrong."""


def main() -> None:
    """Run until there is something, or until libFuzzer's options say that it is enough."""
    name, folder, *options = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = load(name)
    seeds = Path(folder) / "seeds"
    seeds.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (seeds / f"{number:03}").write_bytes(seed)
    words = Path(folder) / "words"
    escaped = ("".join(f"\\x{byte:02x}" for byte in word) for word in target.words)
    words.write_text("".join(f'"{word}"\n' for word in escaped))
    corpus = Path(folder) / "corpus"
    corpus.mkdir(exist_ok=True)
    options += [f"-dict={words}", f"-artifact_prefix={folder}/", f"-max_len={target.longest}"]
    atheris.Setup([name, str(corpus), str(seeds), *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
