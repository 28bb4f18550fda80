"""Database servers for tests: each on a free port of the loopback interface, with its data in a temporary folder.

    with postgresql() as url:  # "postgresql://snakepit@127.0.0.1:PORT/snakepit"
        ...
    with redis() as url:       # "redis://127.0.0.1:PORT/0"
        ...
    with mariadb() as url:     # "mysql://snakepit@127.0.0.1:PORT/snakepit"
        ...

They ask for no password. As root the server runs as an unprivileged user. At the end the process that was started is
ended, by its id, and the folder removed. Raises `Missing`, which names the Debian package, if the server's programs are
not installed, and `NotStarted`, with the server's output, if it does not start.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
PATIENCE = 60.0  # seconds that a server may take to answer, and to end
_ATTEMPTS = 3  # the free port that was found may be taken a moment later


class Missing(Exception):
    """The server's programs are not installed; names the Debian package that has them."""


class NotStarted(Exception):
    """The server did not start; has the end of its output."""


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server without durability; yields the URL of an empty database."""
    programs = _programs("postgresql")
    with _folder("postgres") as (folder, user):
        data = folder / "data"
        _run(
            [programs / "initdb", "-D", data, "-U", "snakepit", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            folder,
            user,
        )

        def command(port: int) -> list[str | Path]:
            settings = {
                "port": port,
                "listen_addresses": HOST,
                "unix_socket_directories": "",
                "fsync": "off",
                "max_connections": 200,
            }
            return [programs / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())]

        def answers(port: int) -> bool:
            question = [programs / "pg_isready", "-q", "-h", HOST, "-p", str(port)]
            return subprocess.run(question, check=False).returncode == 0

        with _serving(command, answers, folder, user, signal.SIGINT) as port:
            _run([programs / "createdb", "-h", HOST, "-p", str(port), "-U", "snakepit", "snakepit"], folder, user)
            yield f"postgresql://snakepit@{HOST}:{port}/snakepit"


@contextmanager
def redis() -> Iterator[str]:
    """A Redis server that saves nothing; yields the URL of its database 0."""
    programs = _programs("redis-server")
    with _folder("redis") as (folder, user):

        def command(port: int) -> list[str | Path]:
            options = ["--save", "", "--appendonly", "no", "--daemonize", "no", "--dir", str(folder)]
            return [programs / "redis-server", "--bind", HOST, "--port", str(port), *options]

        def answers(port: int) -> bool:
            return _greeting(port, b"PING\r\n").startswith(b"+PONG")

        with _serving(command, answers, folder, user, signal.SIGTERM) as port:
            yield f"redis://{HOST}:{port}/0"


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB server; yields the URL of an empty database."""
    programs = _programs("mariadb-server")
    with _folder("mysql") as (folder, user):
        data = folder / "data"
        owner = user or pwd.getpwuid(os.getuid()).pw_name
        common: list[str | Path] = ["--no-defaults", f"--datadir={data}", f"--user={owner}"]
        install = ["--auth-root-authentication-method=normal", "--skip-test-db", "--force"]
        _run([shutil.which("mariadb-install-db") or "mariadb-install-db", *common, *install], folder, user)
        first = folder / "first.sql"
        first.write_text(
            "CREATE DATABASE IF NOT EXISTS snakepit CHARACTER SET utf8mb4;\n"
            "CREATE USER IF NOT EXISTS snakepit@'%';\nGRANT ALL ON *.* TO snakepit@'%';\n"
        )
        first.chmod(0o644)

        def command(port: int) -> list[str | Path]:
            options = [f"--bind-address={HOST}", f"--port={port}", f"--init-file={first}", "--skip-name-resolve"]
            files = [f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
            return [programs / "mariadbd", *common, *options, *files]

        def answers(port: int) -> bool:
            return b"MariaDB" in _greeting(port)

        with _serving(command, answers, folder, user, signal.SIGTERM) as port:
            yield f"mysql://snakepit@{HOST}:{port}/snakepit"


SERVICES: dict[str, Callable[[], AbstractContextManager[str]]] = {
    "postgresql": postgresql,
    "redis": redis,
    "mariadb": mariadb,
}

_PROGRAMS = {  # by Debian package: a program of each, and where it is if not on PATH
    "postgresql": ("initdb", "/usr/lib/postgresql/*/bin"),
    "redis-server": ("redis-server", "/usr/bin"),
    "mariadb-server": ("mariadbd", "/usr/sbin"),
}


def missing(packages: Iterable[str] = ()) -> list[str]:
    """Return the Debian packages that are not installed, of these, or of all that the services need."""
    return [package for package in tuple(packages) or _PROGRAMS if _find(package) is None]


def _programs(package: str) -> Path:
    found = _find(package)
    if found is None:
        raise Missing(f"{_PROGRAMS[package][0]} is not installed; on Debian: apt-get install {package}")
    return found


def _find(package: str) -> Path | None:
    """Return the folder with a package's programs."""
    program, places = _PROGRAMS[package]
    known = sorted(Path("/").glob(places.lstrip("/")), key=_numbers, reverse=True)  # the newest version first
    on_path = shutil.which(program)
    for place in [*known, *([Path(on_path).resolve().parent] if on_path else [])]:
        if (place / program).is_file():
            return place
    return None


def _numbers(path: Path) -> list[int]:
    return [int(part) for part in path.parts if part.isdigit()]


@contextmanager
def _folder(preferred: str) -> Iterator[tuple[Path, str | None]]:
    """Make a temporary folder; yields it, and the user that owns it if that must not be root."""
    user = None
    folder = Path(tempfile.mkdtemp(prefix="snakepit-service-"))
    try:
        if os.getuid() == 0:
            user = _unprivileged(preferred)
            shutil.chown(folder, user)
        yield folder, user
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _unprivileged(preferred: str) -> str:
    try:
        return pwd.getpwnam(preferred).pw_name
    except KeyError:
        return "nobody"


def _run(command: list[str | Path], folder: Path, user: str | None) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **_as(user)
    )
    if done.returncode:
        raise NotStarted(f"{command[0]} ended with {done.returncode}: {_end(done.stdout)}")


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


@contextmanager
def _serving(
    command: Callable[[int], list[str | Path]],
    answers: Callable[[int], bool],
    folder: Path,
    user: str | None,
    stop: signal.Signals,
) -> Iterator[int]:
    """Start the server, wait until it answers, and yield its port; then stop it."""
    for attempt in range(_ATTEMPTS):
        port = _free_port()
        log = folder / f"log-{attempt}"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(port),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # ^C ends us, and we end it
                **_as(user),
            )
        try:
            if _wait_until(answers, port, process):
                yield port
                return
        finally:
            _stop(process, stop)
    raise NotStarted(f"{command(0)[0]} did not start: {_end(log.read_bytes())}")


def _wait_until(answers: Callable[[int], bool], port: int, process: subprocess.Popen[bytes]) -> bool:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        if answers(port) and process.poll() is None:
            return True
        time.sleep(0.05)
    return False


def _stop(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(how)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _greeting(port: int, question: bytes = b"") -> bytes:
    try:
        with socket.create_connection((HOST, port), timeout=1.0) as connection:
            connection.sendall(question)
            return connection.recv(200)
    except OSError:
        return b""


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        return int(listener.getsockname()[1])


def _end(output: bytes) -> str:
    return output.decode(errors="replace").strip()[-2000:]


if __name__ == "__main__":  # python -m compat.services [PACKAGE...]: which Debian packages are missing
    print(*missing(sys.argv[1:]))
