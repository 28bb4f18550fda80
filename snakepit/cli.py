"""The command line, derived from `snakepit.config.OPTIONS`."""

from typing import Any

import click

from snakepit import __version__
from snakepit.config import OPTIONS, Option


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, "-V", "--version", prog_name="snakepit", message="%(prog)s %(version)s")
def cli() -> None:
    """Serve ASGI and WSGI apps in parallel, by interpreters with a GIL each, in one process."""


def _click_type(option: Option) -> Any:
    if option.choices:
        return click.Choice(option.choices)
    if option.kind is int and (option.least is not None or option.most is not None):
        return click.IntRange(_whole(option.least), _whole(option.most))
    if option.kind is float and option.least is not None:
        return click.FloatRange(option.least, option.most)
    return option.kind


def _whole(bound: float | None) -> int | None:
    return None if bound is None else int(bound)


def _click_option(option: Option) -> click.Option:
    # click's own default and environment handling stay off: Config.resolve knows what was really given
    names = [option.flag]
    if option.kind is bool:
        names = [option.flag if option.name == "factory" else f"{option.flag}/--no-{option.flag[2:]}"]
    if option.short is not None:
        names.append(option.short)
    default = f"; default: {option.default_text}" if option.default_text is not None else ""
    return click.Option(
        names,
        type=None if option.kind is bool else _click_type(option),
        default=None,
        is_flag=option.kind is bool,
        metavar=option.metavar,
        help=f"{option.help}  [{option.env}{default}]",
    )


def _run(app: str, **given: Any) -> None:
    """Serve APP, which is module:attribute, as in main:app."""
    from snakepit.server.server import run

    run(app, **{name: value for name, value in given.items() if value is not None})


cli.add_command(
    click.Command(
        "run",
        callback=_run,
        help=_run.__doc__,
        params=[click.Argument(["app"], metavar="APP"), *map(_click_option, OPTIONS)],
    )
)
