"""Configuration files: any bytes are a configuration, or a ConfigError that says where in the file."""

import os
import re
import tempfile
from pathlib import Path

from fuzz.target import Fault, expect
from snakepit.config import file
from snakepit.config.options import OPTIONS, Config
from snakepit.config.sources import Found, gather
from snakepit.errors import ConfigError

_FOLDER = tempfile.TemporaryDirectory(prefix="snakepit-fuzz-")
_FILES = [Path(_FOLDER.name, name) for name in ("snakepit.toml", "pyproject.toml")]
_PLACE = re.compile(r"(?:snakepit|pyproject)\.toml:(\d+): ")


def check(data: bytes) -> None:
    """Read a file: `pyproject.toml`, if its first byte is a form feed, which TOML does not have."""
    shared = data[:1] == b"\f"
    path = _FILES[shared]
    path.write_bytes(data.removeprefix(b"\f"))
    variables = dict(os.environ)
    said = _read(path)
    expect(said == _read(path), "read otherwise again", said)
    expect(dict(os.environ) == variables, "variables have changed")


def _read(path: Path) -> str:
    """Return what the file says, or what is said of its mistakes."""
    lines = path.read_bytes().replace(b"\r\n", b"\n").count(b"\n") + 1
    try:
        read = file.read(str(path))
    except ConfigError as error:
        places = [int(found) for found in _PLACE.findall(str(error))]
        expect(places or "no table" in str(error), "no place in the file", error)
        expect(all(1 <= number <= lines for number in places), "a line that is not there", error, lines)
        return str(error)
    settings = {name: setting.value for name, setting in read.settings.items()}
    if settings.get("env_file"):
        return "other files"  # are not this target's
    expect(all(1 <= each.line <= lines for each in read.settings.values()), "a line that is not there", read)
    try:
        found = gather(OPTIONS, None, {}, read)
        config = Config.made_from(found if found.names_app else Found("none:none", found.values, found.sources))
    except ConfigError as error:
        expect(str(error), "an error without words")
        return str(error)
    return repr(config)


SEEDS = [
    b'app = "main:app"\nport = 8000\nworkers = 2\n',
    b'[logging]\nlevel = "debug"\naccess_log = false\n[timeouts]\nkeep_alive = 5.5\n[limits]\nrequest_body = 10\n',
    b'[[apps]]\napp = "a:b"\npath = "/x"\nhost = "a.example"\n[[apps]]\napp = "c"\npath = "/{t}"\napp_dir = "."\n',
    b'[[static]]\nroute = "/s"\ndir = "."\n[[tls]]\ncertfile = "c"\nkeyfile = "k"\n',
    b'\f[tool.snakepit]\napp = "main:app"\n[tool.other]\nx = 1979-05-27T07:32:00Z\n',
    b'headers = ["a: b"]\nbind = ["127.0.0.1:80", "unix:/x,tls"]\nenv = ["A=b"]\nprot = 1\n',
    b'\xef\xbb\xbfport = 08\n"a.b".c = {d = [1, 2,], e = """x\n"""}\n',
    b"workers = yes\n",
]
WORDS = [
    *(f"{option.name} = ".encode() for option in OPTIONS if option.name != "env_file"),
    *(b"[[apps]]\n", b"[[static]]\n", b"[[tls]]\n", b"[logging]\n", b"[limits]\n", b"[timeouts]\n", b"[websocket]\n"),
    *(
        b"route = ",
        b"dir = ",
        b"path = ",
        b"name = ",
        b"app = ",
        b"[tool.snakepit]\n",
        b'"""',
        b"'''",
        b"inf",
        b"nan",
        b"-1",
    ),
    *(
        b"true",
        b"[]",
        b"{}",
        b'""',
        b"\n",
        b"\\u0000",
        b"\\uFFFF",
        b"\r",
        b"\x00",
        b"1e999",
        b"0x",
        b"1979-05-27",
        b"9" * 40,
    ),
]
FAULTS = [
    Fault("config/file.py", "    except UnicodeDecodeError as error:\n", "    except UnicodeEncodeError as error:\n"),
    Fault(
        "config/file.py", '    line = lines[number - 1] if number <= len(lines) else ""\n', "    line = lines[number]\n"
    ),
    Fault(
        "config/file.py",
        '        line = data.count(b"\\n", 0, error.start) + 1\n',
        '        line = data.count(b"\\n") + 2\n',
    ),
]
LONGEST = 500
