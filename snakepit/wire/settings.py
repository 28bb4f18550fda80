"""Settings for an interpreter at its start: the same records for the code that writes and the code that reads them.

Builtin types only: it crosses by `marshal`, or for `snakepit check` as JSON.
"""

from typing import Literal, TypedDict

from snakepit.wire.carrier import ChannelAddress

type Policy = Literal["vetted", "native", "all"]
"""The policy for loading C extensions from private copies; see `snakepit.worker.extensions.loader`."""


class VenvSettings(TypedDict):
    """A virtual environment for the app.

    `packages` are the folders of its packages, `executable` is its Python (empty: it has none), and `system` the prefix
    of the Python whose packages it has too (empty: only its own).
    """

    folder: str
    packages: list[str]
    executable: str
    system: str


class ImportSettings(TypedDict):
    """Settings for importing an app.

    `sys_path` is for the app, `own_path` for what Snakepit imports itself, and `own_modules` are names that mean
    modules of the standard library whatever the app's folder holds (`snakepit.system.import_order`). `copies`: the
    folder for private copies of extensions, empty if there is none. `lazy_imports`, `lazy_libraries`: see
    `snakepit.lazy_imports.hook`.
    """

    sys_path: list[str]
    own_path: list[str]
    own_modules: list[str]
    venv: VenvSettings | None
    argv: list[str]
    environ: dict[str, str]
    module: str
    attribute: str
    factory: bool
    interface: Literal["auto", "asgi", "wsgi"]
    extensions: Policy
    copies: str
    lazy_imports: Literal["auto", "on", "off"]
    lazy_libraries: list[str]


class AppSettings(ImportSettings):
    """Settings for all workers of an app.

    `open_files`: the limits, soft and hard, for processes that the app starts. `timeout_request`: in seconds;
    infinite: requests do not time out, but people may end them.
    `page_script`: the address of a script for its pages, empty for none; it contains the version of the app. `mount`:
    the path of its route, without a slash at its end.
    `app`: its name; empty if it is the only one.
    `variables`: those of `environ` that the app's options name. `directory`: the working directory of a worker that is
    a process; empty: the server's. `on_chdir`: see `snakepit.worker.directory`.
    `tells_metrics`: whether the last values of the app's metrics are wanted at its end.
    `debug`: whether clients are shown its exceptions.
    """

    script: str | None
    lifespan: Literal["auto", "on", "off"]
    reset_contextvars: bool
    root_path: str
    interpreters: int
    log_config: str | None
    log_format: Literal["auto", "text", "json"]
    app: str
    request_id: bool
    write_bytecode: bool
    ws_max_queue: int
    timeout_request: float | None
    open_files: tuple[int, int] | None
    page_script: str
    mount: str
    variables: dict[str, str]
    directory: str
    on_chdir: Literal["error", "warn", "allow"]
    tells_metrics: bool
    debug: bool


class WorkerSettings(AppSettings):
    """Settings for one worker. `watch`: the channel of its watchdog; `channels`: one for each of its threads."""

    number: int
    runtime: Literal["interpreter", "process", "thread"]
    channels: list[ChannelAddress]
    watch: ChannelAddress
