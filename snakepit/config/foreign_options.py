"""Options of other servers, and what to use here. Imported only if a command line could not be understood."""

import re
import tomllib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVERS = ("uvicorn", "gunicorn", "granian", "hypercorn", "waitress")

SAME = "same"
"""The beginning of the answer for an option that exists here, too."""

KINDS = (SAME, "use ", "leave it out", "there is no ")
"""How answers begin."""

type Answers = dict[str, str]
"""Answers by option, or by value of an option."""


@dataclass(frozen=True, slots=True)
class ForeignOptions:
    """The contents of foreign_options.toml."""

    options: dict[str, Answers]
    """The options of each server."""
    values: dict[str, Answers]
    """Values that other servers have for Snakepit's options."""
    keywords: Answers
    """Keywords of `uvicorn.run()` whose name differs from the option's."""


def load() -> ForeignOptions:
    """Read foreign_options.toml."""
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
    """Return the answers for the options in a command line that Snakepit does not have, or not with these values.

    `known`: all of Snakepit's options, long and short.
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
    """Return the answer for a keyword that Snakepit does not have."""
    foreign = load()
    if answer := foreign.keywords.get(name):
        return [f"{name} (of uvicorn): {answer}."]
    return list(_about("--" + name.replace("_", "-"), "", foreign))


def shown(answer: str, value: str = "") -> str:
    """Return an answer with the given value filled in, or with a word for it if none was given."""
    return _PLACE.sub(lambda place: value or place[1], answer)


_PLACE = re.compile(r"\{([A-Z]+)\}")


def _about(flag: str, value: str, foreign: ForeignOptions) -> Iterator[str]:
    """Return one sentence for each answer."""
    by_answer: dict[str, list[str]] = {}
    for server, answers in foreign.options.items():
        answer = answers.get(flag, SAME)
        if not answer.startswith(SAME):
            by_answer.setdefault(answer, []).append(server)
    for answer, servers in by_answer.items():
        yield f"{flag} (of {' and '.join(servers)}): {shown(answer, value)}."


def _options(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield each option with what may be its value; "" if there is none."""
    for argument, following in zip(arguments, [*arguments, ""][1:], strict=True):
        if argument == "--":
            return
        if argument.startswith("--"):
            flag, equals, value = argument.partition("=")
            yield flag, value if equals or following.startswith("-") else following
        elif argument.startswith("-") and argument != "-":
            value = argument[2:].removeprefix("=")
            yield argument[:2], value if value or following.startswith("-") else following
