"""The commands about configuration: `config` shows it, `init` writes a file to begin with."""

import os
from typing import Any

import click

from snakepit.cli import parameters
from snakepit.cli.failure import end_with
from snakepit.config import file, place, static, tls
from snakepit.config.apps import PER_APP
from snakepit.config.options import OPTIONS, Config, RoutedApp
from snakepit.config.sources import DEFAULT, ConfigFile, Found, Source, gather, shown_path
from snakepit.errors import ConfigError, SnakepitError
from snakepit.system import working_directory
from snakepit.system.table import aligned


def _config(
    app: str | None,
    config_file: str | None,
    no_config: bool,
    as_json: bool,
    only_check: bool,
    print_schema: bool,
    **values: Any,
) -> None:
    """Show the options that `snakepit run` would have, and where each comes from.

    APP and options are those of `snakepit run`. Ends with status 2 if something is wrong.
    """
    if print_schema:
        from snakepit.config import schema

        click.echo(schema.text(), nl=False)
        return
    try:
        read = file.wanted(config_file, no_config)
        found = gather(OPTIONS, app, parameters.given_values(values), read)
        config = Config.made_from(found if found.names_app else Found(_NO_APP, found.values, found.sources))
        if not config.apps:
            _check_only_app(config, found)
    except SnakepitError as error:
        end_with(error)
    if only_check:
        print("There is no configuration file" if read is None else f"{shown_path(read.path)}: no mistakes")
    elif as_json:
        import json

        print(json.dumps(_as_json(found, config, read), indent=2))
    else:
        print(_as_text(found, config, read))


def _check_only_app(config: Config, found: Found) -> None:
    """Raise ConfigError for what the only app can't have; `made_from` has looked at each of several."""
    try:
        for app in config.routed:
            app.check()
    except ConfigError as error:
        raise found.placed(error) from None


_NO_APP = "none:none"
"""Stands for the app where no source names one: the other options can be shown all the same."""


def _shown(found: Found, config: Config) -> dict[str, tuple[Any, Source]]:
    values = {"app": (found.app, found.sources.get("app", DEFAULT))}
    return values | {
        each.name: (each.shown_value(getattr(config, each.name)), found.sources.get(each.name, DEFAULT))
        for each in OPTIONS
    }


def _as_text(found: Found, config: Config, read: ConfigFile | None) -> str:
    from snakepit.config.tables import text

    rows = [
        (name, "" if value is None else text(value), str(source))
        for name, (value, source) in _shown(found, config).items()
    ]
    rows += [(static.NAME, str(site), str(_source_of(site, found))) for site in config.static]
    rows += [(tls.NAME, str(each), str(_source_of_certificate(each, found))) for each in config.tls]
    first = max(len(name) for name, _, _ in rows)
    second = min(max(len(value) for _, value, _ in rows), _WIDEST)
    path = "none" if read is None else read.path
    lines = (f"{name:<{first}}  {value:<{second}}  {source}" for name, value, source in rows)
    of_apps = [(app.name, str(app.route), str(app.config.app), _differences(config, app)) for app in config.apps]
    table = ["", *aligned([_HEADINGS, *of_apps])] if of_apps else []
    return "\n".join([f"Configuration file: {path}", *lines, *table])


def _own_options(config: Config, app: RoutedApp) -> dict[str, Any]:
    """Return the options of an app that are not the server's."""
    names = [option.name for option in OPTIONS if option.name in PER_APP]
    return {name: own for name in names if (own := getattr(app.config, name)) != getattr(config, name)}


def _differences(config: Config, app: RoutedApp) -> str:
    from snakepit.config.tables import text

    return ", ".join(
        f"{name} = {'none' if value is None else text(value)}" for name, value in _own_options(config, app).items()
    )


_HEADINGS = ("APP", "ROUTE", "REFERENCE", "WHAT IS NOT AS ABOVE")


def _source_of(site: static.StaticFiles, found: Found) -> Source:
    """Return where a route comes from."""
    in_file = site in found.values.get(static.NAME, ())
    return found.sources.get(static.NAME if in_file else "static_path", DEFAULT)


def _source_of_certificate(certificate: tls.TlsCertificate, found: Found) -> Source:
    in_file = certificate in found.values.get(tls.NAME, ())
    return found.sources.get(tls.NAME if in_file else "ssl_certfile", DEFAULT)


_WIDEST = 24
"""Characters of the column of values; longer ones move what follows in their line."""


def _as_json(found: Found, config: Config, read: ConfigFile | None) -> dict[str, Any]:
    options = {}
    for name, (value, source) in _shown(found, config).items():
        where = {"variable": source.variable, "env_file": source.env_file, "path": source.path, "line": source.line}
        options[name] = {"value": value, "source": source.kind} | {key: item for key, item in where.items() if item}
    apps = [
        {"name": app.name, "route": str(app.route), "app": str(app.config.app), "options": _own_options(config, app)}
        for app in config.apps
    ]
    sites = [{"value": static.as_dict(site), "source": _source_of(site, found).kind} for site in config.static]
    certificates = [
        {
            "certfile": each.certfile,
            "keyfile": each.keyfile,
            "names": each.names,
            "source": _source_of_certificate(each, found).kind,
        }
        for each in config.tls
    ]
    path = None if read is None else read.path
    return {"file": path, "options": options, "apps": apps, static.NAME: sites, tls.NAME: certificates}


def _init(force: bool) -> None:
    """Write a snakepit.toml with comments into this folder, with the app that is found here.

    The app is found by reading the code, without importing any.
    """
    from snakepit.config import app_search, starter

    folder = working_directory.name() or os.curdir
    path = os.path.join(folder, place.OWN)
    apps = app_search.find(folder)
    try:
        with open(path, "w" if force else "x", encoding="utf-8", newline="\n") as written:
            written.write(starter.text(apps))
    except FileExistsError:
        end_with(ConfigError(f"{place.OWN} is there already; --force overwrites it"))
    except OSError as error:
        end_with(ConfigError(f"{path} can't be written: {error.strerror or error}"))
    if apps:
        print(f"Wrote {place.OWN}, for the app {apps[0].reference}. To serve it: snakepit run")
    else:
        print(f"Wrote {place.OWN}. No app was found here: put its name into the line that begins with app")


CONFIG = click.Command(
    "config",
    callback=_config,
    help=_config.__doc__,
    params=[
        click.Option(["--json", "as_json"], is_flag=True, help="Print it as a JSON object."),
        click.Option(["only_check", "--check"], is_flag=True, help="Only say whether anything is wrong."),
        click.Option(
            ["print_schema", "--schema"], is_flag=True, help="Print the JSON Schema of snakepit.toml, for editors."
        ),
        *parameters.of_configuration(OPTIONS),
    ],
)

INIT = click.Command(
    "init",
    callback=_init,
    help=_init.__doc__,
    params=[click.Option(["--force"], is_flag=True, help="Overwrite a snakepit.toml that is there.")],
)
