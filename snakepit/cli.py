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
        multiple=option.several,
        help=f"{option.help}  [{option.env}{default}]",
    )


def _run(app: str, **given: Any) -> None:
    """Serve APP, which is module:attribute, as in main:app."""
    from snakepit.server.server import run

    run(app, **{name: value for name, value in given.items() if value is not None and value != ()})


def _check(app: str, as_json: bool, verbose: bool, timeout: float, **given: Any) -> None:
    """Import APP as workers would, in a process of its own, and say which C extensions get in the way.

    Ends with status 0 if the app runs in isolated interpreters, and with 3 if it does not.
    """
    from snakepit.check.parent import main

    named = {name: value for name, value in given.items() if value is not None}
    raise SystemExit(main(app, as_json=as_json, verbose=verbose, timeout=timeout, given=named))


CHECKED = ("extensions", "interface", "factory", "app_dir", "env_file")
"""The options of `run` that say what is imported and how."""

cli.add_command(
    click.Command(
        "run",
        callback=_run,
        help=_run.__doc__,
        params=[click.Argument(["app"], metavar="APP"), *map(_click_option, OPTIONS)],
    )
)
cli.add_command(
    click.Command(
        "check",
        callback=_check,
        help=_check.__doc__,
        params=[
            click.Argument(["app"], metavar="APP"),
            *(_click_option(option) for option in OPTIONS if option.name in CHECKED),
            click.Option(["--json", "as_json"], is_flag=True, help="Print the findings as JSON."),
            click.Option(["-v", "--verbose"], is_flag=True, help="List the modules that need no help, too."),
            click.Option(
                ["--timeout"],
                type=click.FloatRange(min=0, min_open=True),
                default=120.0,
                metavar="SECONDS",
                help="Seconds after which the app is taken to hang.  [default: 120]",
            ),
        ],
    )
)
