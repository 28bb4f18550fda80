"""The command line, derived from `snakepit.config.options.OPTIONS`."""

import os
from collections.abc import Callable
from typing import Any

import click

from snakepit.cli import configuration, parameters
from snakepit.cli.failure import end_with
from snakepit.config import file
from snakepit.config.choices import MOST_WORKERS
from snakepit.config.options import OPTIONS, Config
from snakepit.control import commands
from snakepit.errors import SnakepitError
from snakepit.supervisor import first_look
from snakepit.system.version import __version__


class _RunCommand(click.Command):
    """The `run` command: for an option of another server, its error says what to use here."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)  # which click consumes
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            from snakepit.config import foreign_options

            known = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
            answers = foreign_options.about_arguments(given, known)
            if not answers:
                raise
            raise click.UsageError("\n  ".join(["Options of other servers were given:", *answers]), ctx) from error


class _Commands(click.Group):
    """The group of commands: its error for an unknown command recognizes an app."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if ":" in name and name not in self.commands:
            raise click.UsageError(f"No such command {name!r}. To serve it: snakepit run {name}", ctx)
        return super().resolve_command(ctx, args)


def _version_option(*names: str) -> Callable[[Any], Any]:
    return click.version_option(__version__, *names, prog_name="snakepit", message="%(prog)s %(version)s")


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@_version_option("-V", "--version")
def cli() -> None:
    """Serve ASGI and WSGI apps in parallel, by interpreters with a GIL each, in one process."""


def _run(app: str | None, config_file: str | None, no_config: bool, **values: Any) -> None:
    """Serve APP, which is module:attribute, as in main:app.

    Without APP, the configuration file names it.
    """
    given = parameters.given_values(values)
    if click.get_current_context().obj == first_look.ASK:
        _supervise_if_wanted(app, config_file, no_config, given)
    from snakepit.server.run import run_command

    run_command(app, config_file, no_config, **given)


def _supervise_if_wanted(app: str | None, config_file: str | None, no_config: bool, given: dict[str, Any]) -> None:
    """Become a supervisor, if that is what the options say."""
    before = dict(os.environ)
    try:
        config = Config.resolve(app, given, file.wanted(config_file, no_config))
    except SnakepitError as error:
        end_with(error)
    os.environ.clear()  # each server process reads the env file by itself, and may find another than this one
    os.environ.update(before)
    if config.supervise and config.runtime != "thread":
        from snakepit.supervisor.supervisor import begin_anew

        begin_anew(config.jit)


def _check(
    app: str | None,
    config_file: str | None,
    no_config: bool,
    as_json: bool,
    verbose: bool,
    timeout: float,
    **values: Any,
) -> None:
    """Import APP as workers would, in a process of its own, and say which C extensions get in the way.

    Without APP, the configuration file names it. Ends with status 0 if the app runs in isolated interpreters, and with
    3 if it does not.
    """
    from snakepit.check.command import main

    given = parameters.given_values(values)
    try:
        found = file.wanted(config_file, no_config)
    except SnakepitError as error:
        end_with(error)
    raise SystemExit(main(app, as_json=as_json, verbose=verbose, timeout=timeout, given=given, file=found))


def _status(as_json: bool, name: str | None, pid: int | None) -> None:
    """Show the state of a running server: its connections, requests and workers."""
    commands.status(*_which(name, pid), as_json)


def _top(name: str | None, pid: int | None) -> None:
    """Show what a running server is at, once a second: its load, its workers, and the requests that take long.

    q ends it, r replaces all workers, and a digit shows where the code of that request of the list is.
    """
    from snakepit.control.top import top

    try:
        top(*_which(name, pid))
    except SnakepitError as error:
        end_with(error)


def _stacks(
    worker: int | str | None, app: str | None, show_all: bool, as_json: bool, name: str | None, pid: int | None
) -> None:
    """Show where the threads and tasks of all workers are, beside the requests that they work for."""
    from snakepit.control import inspection

    inspection.stacks(worker, app, show_all, as_json, *_which(name, pid))


def _slow(show_all: bool, as_json: bool, name: str | None, pid: int | None) -> None:
    """Show the slowest requests of the last ten minutes, with those in progress that take more than a second."""
    from snakepit.control import inspection

    inspection.slow(show_all, as_json, *_which(name, pid))


def _events(
    number: int | None,
    since: str | None,
    follow: bool,
    as_json: bool,
    name: str | None,
    pid: int | None,
) -> None:
    """Show what has happened in a running server: starts, reloads, replaced and lost workers, refusals, certificates.

    It keeps the latest 400 events. Times are local, those of --json UTC.
    """
    from snakepit.control import events, events_text

    try:
        moment = None if since is None else events_text.moment(since)
        events.events(number, moment, follow, as_json, *_which(name, pid))
    except SnakepitError as error:
        end_with(error)


def _profile(
    seconds: float, output: str, worker: int | str | None, app: str | None, name: str | None, pid: int | None
) -> None:
    """Sample what the workers and the main interpreter do for some seconds, and write it as a flame graph."""
    from snakepit.control import inspection

    inspection.profile(seconds, output, worker, app, *_which(name, pid))


def _reload(config: bool, name: str | None, pid: int | None) -> None:
    """Replace all workers of a running server, one after the other, by new ones that import the app again."""
    (commands.reread if config else commands.reload)(*_which(name, pid))


def _apps(as_json: bool, name: str | None, pid: int | None) -> None:
    """Show the apps of a running server; those of routes with placeholders only while they live."""
    if click.get_current_context().invoked_subcommand is None:
        commands.apps(*_which(name, pid), as_json)


def _apps_reload(app: str, name: str | None, pid: int | None) -> None:
    """Replace the workers of the app called APP, one after the other, by new ones that import it again."""
    commands.reload_app(app, *_which(name, pid))


def _apps_stop(app: str, name: str | None, pid: int | None) -> None:
    """Stop the workers of the app called APP; its requests get 503 until it is started."""
    commands.stop_app(app, *_which(name, pid))


def _apps_start(app: str, name: str | None, pid: int | None) -> None:
    """Start the app called APP, which was stopped or could not be started."""
    commands.start_app(app, *_which(name, pid))


def _scale(workers: int, name: str | None, pid: int | None) -> None:
    """Change the number of workers of a running server to WORKERS."""
    commands.scale(workers, *_which(name, pid))


def _stop(name: str | None, pid: int | None) -> None:
    """Stop a running server gracefully, and wait for its end."""
    commands.stop(*_which(name, pid))


def _upgrade(name: str | None, pid: int | None) -> None:
    """Start a new server process that takes over from a running one."""
    commands.upgrade(*_which(name, pid))


def _certificates(as_json: bool, acme_folder: str | None, name: str | None, pid: int | None) -> None:
    """Show the certificates of a running server; where none runs, those that it has obtained and stored."""
    if click.get_current_context().invoked_subcommand is not None:
        return
    from snakepit.control import certificates

    folder = acme_folder or os.environ.get(FOLDER.env) or None

    def stored() -> list[dict[str, Any]]:
        from snakepit.acme.stored import stored_certificates

        return stored_certificates(folder)

    try:
        certificates.show(*_which(name, pid), as_json, stored)
    except SnakepitError as error:
        end_with(error)
    except ImportError:
        end_with(_NO_CRYPTOGRAPHY)


def _certificates_renew(certificate: str | None, name: str | None, pid: int | None) -> None:
    """Renew the certificate of a running server for NAME, or all of them, before they are due."""
    from snakepit.control import certificates

    certificates.renew(certificate, *_which(name, pid))


def _certificates_trust(acme_folder: str | None) -> None:
    """Print the command that makes this machine trust the local CA, which certifies localhost and IP addresses."""
    try:
        from snakepit.acme.stored import trust

        print(trust(acme_folder or os.environ.get(FOLDER.env) or None))
    except SnakepitError as error:
        end_with(error)
    except ImportError:
        end_with(_NO_CRYPTOGRAPHY)


_NO_CRYPTOGRAPHY = SnakepitError("cryptography is not installed: pip install 'snakepit-server[acme]'")


def _which(name: str | None, pid: int | None) -> tuple[str | None, int | None]:
    """Return the options that identify the server."""
    if name is not None and pid is not None:
        raise click.UsageError("--name and --pid can't be used together")
    if pid is not None:
        return None, pid
    return name or os.environ.get(NAME.env) or None, None


CHECKED = ("extensions", "lazy_imports", "interface", "factory", "app_dir", "venv", "env", "env_file")
"""The options of `run` that determine what is imported and how."""

cli.add_command(
    _version_option("--version")(
        _RunCommand(
            "run",
            callback=_run,
            help=_run.__doc__,
            params=parameters.of_configuration(OPTIONS),
        )
    )
)
cli.add_command(
    click.Command(
        "check",
        callback=_check,
        help=_check.__doc__,
        params=[
            *parameters.of_configuration(option for option in OPTIONS if option.name in CHECKED),
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

cli.add_command(configuration.CONFIG)
cli.add_command(configuration.INIT)

NAME = next(option for option in OPTIONS if option.name == "name")
FOLDER = next(option for option in OPTIONS if option.name == "acme_folder")


def _which_server() -> list[click.Parameter]:
    return [
        click.Option(["--name"], metavar="NAME", help=f"The server that was started with this name.  [{NAME.env}]"),
        click.Option(
            ["--pid"],
            type=click.IntRange(1),
            metavar="PID",
            help="The server with this process.  [default: the one that was started in this folder]",
        ),
    ]


def _control_command(name: str, callback: Callable[..., None], *params: click.Parameter) -> click.Command:
    return click.Command(name, callback=callback, help=callback.__doc__, params=[*params, *_which_server()])


def _apps_command(name: str, callback: Callable[..., None]) -> click.Command:
    return _control_command(name, callback, click.Argument(["app"], metavar="APP"))


_WHICH_WORKERS = (
    click.Option(
        ["--worker"],
        type=parameters.WorkerNumber(),
        metavar="N",
        help="Only the worker with this number; main: only the main interpreter.",
    ),
    click.Option(["--app"], metavar="APP", help="Only the workers of the app with this name, if there are several."),
)

for _command in (
    _control_command(
        "status", _status, click.Option(["--json", "as_json"], is_flag=True, help="Print it as a JSON object.")
    ),
    _control_command("top", _top),
    _control_command(
        "stacks",
        _stacks,
        *_WHICH_WORKERS,
        click.Option(["--all", "show_all"], is_flag=True, help="Show Snakepit's own calls, and idle threads, too."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print them as a JSON object."),
    ),
    _control_command(
        "slow",
        _slow,
        click.Option(["--all", "show_all"], is_flag=True, help="Show those too whose answers began within a second."),
        click.Option(["--json", "as_json"], is_flag=True, help="Print them as a JSON array."),
    ),
    _control_command(
        "events",
        _events,
        click.Option(
            ["-n", "number"],
            type=click.IntRange(0),
            metavar="N",
            help="At most so many, the latest.  [default: all; with --follow 10]",
        ),
        click.Option(
            ["--since"], metavar="WHEN", help="Only those since then: 10m, 2h or 1d ago, 12:30, or 2026-01-31T12:30."
        ),
        click.Option(
            ["-f", "--follow"], is_flag=True, help="Show what happens from now on, too, until the server stops."
        ),
        click.Option(
            ["--json", "as_json"],
            is_flag=True,
            help="Print them as a JSON array; with --follow, as a JSON object on each line.",
        ),
    ),
    _control_command(
        "profile",
        _profile,
        click.Option(
            ["--seconds"],
            type=click.FloatRange(min=0, min_open=True, max=600),
            default=10.0,
            help="Seconds to sample; Ctrl+C ends it before.  [default: 10]",
        ),
        click.Option(
            ["-o", "--output"],
            default="profile.json",
            metavar="FILE",
            help="The file to write: NAME.svg is a flame graph, anything else is for https://www.speedscope.app.  "
            "[default: profile.json]",
        ),
        *_WHICH_WORKERS,
    ),
    _control_command(
        "reload",
        _reload,
        click.Option(
            ["--config"],
            is_flag=True,
            help="Read the configuration file again instead: only static files and, in a server with several apps, "
            "apps whose tables changed are served, replaced or ended.",
        ),
    ),
    _control_command(
        "scale", _scale, click.Argument(["workers"], type=click.IntRange(1, MOST_WORKERS), metavar="WORKERS")
    ),
    _control_command("stop", _stop),
    _control_command("upgrade", _upgrade),
):
    cli.add_command(_command)

cli.add_command(
    click.Group(
        "apps",
        callback=_apps,
        help=_apps.__doc__,
        invoke_without_command=True,
        params=[
            click.Option(["--json", "as_json"], is_flag=True, help="Print them as a JSON array."),
            *_which_server(),
        ],
        commands=[
            _apps_command("reload", _apps_reload),
            _apps_command("stop", _apps_stop),
            _apps_command("start", _apps_start),
        ],
    )
)

cli.add_command(
    click.Group(
        "certificates",
        callback=_certificates,
        help=_certificates.__doc__,
        invoke_without_command=True,
        params=[
            click.Option(["--json", "as_json"], is_flag=True, help="Print them as a JSON array."),
            parameters.of_option(FOLDER),
            *_which_server(),
        ],
        commands=[
            _control_command(
                "renew", _certificates_renew, click.Argument(["certificate"], metavar="[NAME]", required=False)
            ),
            click.Command(
                "trust",
                callback=_certificates_trust,
                help=_certificates_trust.__doc__,
                params=[parameters.of_option(FOLDER)],
            ),
        ],
    )
)
