"""Parameters of the commands, made from the options."""

from collections.abc import Iterable, Mapping
from typing import Any

import click

from snakepit.config import place
from snakepit.config.option import Option


def _click_type(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    if option.ceiling is not None:
        return Span(option)
    if option.kind is int and (option.least is not None or option.most is not None):
        return click.IntRange(_whole(option.least), _whole(option.most))
    if option.kind is float and option.least is not None:
        return click.FloatRange(option.least, option.most)
    return option.kind


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def of_option(option: Option) -> click.Option:
    """Return the flag of an option."""
    # click's own handling of defaults and environment stays off: Config.resolve must know which options were given
    names = [option.name, *option.flags]
    if option.kind is bool and option.name != "factory":
        names[1] += f"/--no-{option.flag[2:]}"
    default = f"; default: {option.default_text}" if option.default_text is not None else ""
    return click.Option(
        names,
        type=None if option.kind is bool else _click_type(option),
        default=None,
        is_flag=option.kind is bool,
        metavar=option.metavar,
        multiple=option.several,
        help=f"{option.help}  [{', '.join(option.variables)}{default}]",
    )


def app() -> click.Argument:
    """Return the argument APP."""
    return click.Argument(["app"], metavar="[APP]", required=False)


def of_file() -> list[click.Parameter]:
    """Return the flags that say which configuration file is read."""
    return [
        click.Option(
            ["config_file", "--config"],
            metavar="FILE",
            help="Configuration file, for what neither the command line nor the environment says.  "
            f"[{place.VARIABLE}; default: {place.OWN}, or {place.SHARED} with a table tool.snakepit, here or above]",
        ),
        click.Option(["--no-config"], is_flag=True, help="Read no configuration file."),
    ]


def of_configuration(options: Iterable[Option]) -> list[click.Parameter]:
    """Return APP, and the flags of the configuration file and of these options."""
    return [app(), *of_file(), *map(of_option, options)]


def given_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None and value != ()}


class Span(click.IntRange):
    """A number, or LEAST-MOST, which says the option's ceiling, too."""

    def __init__(self, option: Option) -> None:
        super().__init__(_whole(option.least), _whole(option.most))
        self._option = option

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        spanned = self._option.span(value)
        if not spanned:
            return super().convert(value, param, ctx)
        for each in spanned.values():
            super().convert(each, param, ctx)
        return value


class WorkerNumber(click.IntRange):
    """A worker's number, or "main" for the main interpreter."""

    name = "number of a worker, or main"

    def __init__(self) -> None:
        super().__init__(1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "main" else super().convert(value, param, ctx)
