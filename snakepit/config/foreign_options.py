"""Options of other servers, and what they are here. Imported only where a command line could not be understood."""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVERS = ("uvicorn", "gunicorn", "granian", "hypercorn", "waitress")

SAME = "same"
"""How the answer begins for an option that is here, too."""

KINDS = (SAME, "use ", "leave it out", "there is no ")
"""How answers begin."""

type Answers = dict[str, str]
"""By what is answered: an option, or a value of one."""


@dataclass(frozen=True, slots=True)
class ForeignOptions:
    """What stands in foreign_options.toml."""

    options: dict[str, Answers]
    """Those of each server."""
    values: dict[str, Answers]
    """Values that other servers have for options of ours."""
    keywords: Answers
    """Keywords of `uvicorn.run()` that have another name than the option."""


def load() -> ForeignOptions:
    """Read them."""
    data = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    shared = data["answers"]

    def spelled_out(answers: Answers) -> Answers:
        return {key: shared[answer[1:]] if answer.startswith("$") else answer for key, answer in answers.items()}

    return ForeignOptions(
        {server: spelled_out(data[server]) for server in SERVERS},
        {flag: spelled_out(values) for flag, values in data["values"].items()},
        data["keywords"],
    )


def about_arguments(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """What to say of the options in a command line that are not ours, or have values that are not.

    `known`: all our options, long and short.
    """
    foreign = load()
    said: list[str] = []
    for flag, value in _options(arguments):
        if flag not in known:
            said += _about(flag, value, foreign)
        elif answer := foreign.values.get(flag, {}).get(value):
            said.append(f"{flag} {value}: {answer}.")
    return list(dict.fromkeys(said))


def about_keyword(name: str) -> list[str]:
    """What to say of a keyword that is not ours."""
    foreign = load()
    if answer := foreign.keywords.get(name):
        return [f"{name} (of uvicorn): {answer}."]
    return list(_about("--" + name.replace("_", "-"), "", foreign))


def shown(answer: str, value: str = "") -> str:
    """An answer with the value that was given in its places, or with words for it."""
    return _PLACE.sub(lambda place: value or place[1], answer)


_PLACE = re.compile(r"\{([A-Z]+)\}")


def _about(flag: str, value: str, foreign: ForeignOptions) -> Iterator[str]:
    """One sentence for each answer that there is."""
    by_answer: dict[str, list[str]] = {}
    for server, answers in foreign.options.items():
        answer = answers.get(flag, SAME)
        if not answer.startswith(SAME):
            by_answer.setdefault(answer, []).append(server)
    for answer, servers in by_answer.items():
        yield f"{flag} (of {' and '.join(servers)}): {shown(answer, value)}."


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each option with what may be its value; "" where there is none."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if argument == "--":
            return
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            yield flag, value if equals or following.startswith("-") else following
        elif argument.startswith("-") and argument != "-":
            value = argument[2:].removeprefix("=")
            yield argument[:2], value if value or following.startswith("-") else following
