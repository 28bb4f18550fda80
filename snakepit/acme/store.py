"""The store: accounts, certificates with their keys, and answers to challenges, in a folder of the user's.

Several processes may share it. Each file is written whole and then renamed, so that it can be read without a lock; a
lock makes sure that one process at a time obtains what is missing, and others find it. All files are secret.
"""

import contextlib
import hashlib
import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from snakepit.acme.chains import CertificateChain, any_chain_of, chain_of
from snakepit.acme.keys import AccountKey
from snakepit.acme.renewal import Suggestion
from snakepit.acme.stopping import Stop
from snakepit.errors import ConfigError
from snakepit.system.locks import try_lock
from snakepit.system.private_folders import UNFINISHED, trouble_with, write_secret

LOCK_PAUSE = 0.2
"""Seconds between two attempts to take a lock."""

STALE = 24 * 3600.0
"""Seconds after which an answer to a challenge is removed that a killed process left behind."""

_LONGEST = 200  # characters of a file's name, of 255 that file systems allow (ext4, APFS, NTFS)

_log = logging.getLogger("snakepit.server")


def default_folder() -> Path:
    """Return where the store is, if no option says so. Raises ConfigError."""
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        if local:
            return Path(local) / "snakepit" / "acme"
        raise ConfigError("no folder for certificates: LOCALAPPDATA is not set; name one with --acme-folder")
    try:
        home = Path.home()
    except RuntimeError:
        home = None
    if sys.platform == "darwin":
        state = home and home / "Library" / "Application Support"
    else:
        named = os.environ.get("XDG_STATE_HOME", "")
        state = Path(named) if os.path.isabs(named) else home and home / ".local" / "state"
    if state is None or not state.is_absolute():
        raise ConfigError("no folder for certificates: there is no home folder; name one with --acme-folder")
    return state / "snakepit" / "acme"


@dataclass(frozen=True, slots=True)
class Details:
    """What is known of a certificate beside what stands in it.

    Args:
        fingerprint: of the certificate that this is about.
        directory: of the CA; "local" for the local one.
        challenge: by which it was obtained.
        suggestion: of the CA, when to renew it.
    """

    fingerprint: str
    directory: str
    challenge: str = ""
    suggestion: Suggestion | None = None

    @classmethod
    def parse(cls, text: str) -> "Details":
        """Return what was dumped. Raises ValueError, TypeError or KeyError."""
        found = json.loads(text)
        suggestion = found["suggestion"]
        return cls(
            str(found["fingerprint"]),
            str(found["directory"]),
            str(found["challenge"]),
            None if suggestion is None else _suggestion(suggestion),
        )


def _suggestion(found: dict[str, Any]) -> Suggestion:
    return Suggestion(
        str(found["fingerprint"]),
        float(found["start"]),
        float(found["end"]),
        float(found["chosen"]),
        float(found["look_again"]),
        str(found["explanation"]),
    )


@dataclass(frozen=True, slots=True)
class Stored:
    """A certificate in the store. `path` is of a PEM with its key and its chain, which is replaced as a whole."""

    name: str
    path: Path
    chain: CertificateChain
    details: Details | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a certificate could not be obtained, and until when nobody should try again, in seconds since the epoch."""

    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class Account:
    """An account with a CA; `url` is empty until the CA has said it."""

    key: AccountKey
    url: str = ""
    contact: str = ""


class CertificateStore:
    """The store in a folder, which is made if necessary. Raises ConfigError if it can't be, or is not safe."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._folders = {name: path / name for name in ("accounts", "certificates", "challenges", "local-ca")}
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            for folder in (path, *self._folders.values()):
                folder.mkdir(0o700, exist_ok=True)
                trouble = trouble_with(folder)
                if trouble is not None:
                    raise ConfigError(f"certificates can't be stored: {trouble}")
            self._remove_stale(time.time())
        except OSError as error:
            raise ConfigError(f"certificates can't be stored: {error}; name a folder with --acme-folder") from None

    @property
    def local_ca(self) -> Path:
        """The folder of the local CA."""
        return self._folders["local-ca"]

    def certificates(self) -> list[Stored]:
        """Return all certificates, by name. Damaged files are logged and left out."""
        found = []
        for path in sorted(self._folders["certificates"].glob("*.pem")):
            try:
                chain = any_chain_of(path.read_bytes())
                name = min(chain.names)
            except (OSError, ValueError) as error:
                _log.warning("%s can't be used: %s", path, error)
                continue
            found.append(Stored(name, path, chain, self._details(name, chain.fingerprint)))
        return found

    def has(self, name: str) -> bool:
        """Tell whether there is a file for a name."""
        return self._certificate(name).exists()

    def certificate(self, name: str) -> Stored | None:
        """Return the certificate for a name; None if there is none, or its file is damaged, which is logged."""
        path = self._certificate(name)
        try:
            chain = chain_of(path.read_bytes(), name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            _log.warning("The certificate for %s in %s can't be used, so it is obtained anew: %s", name, path, error)
            return None
        return Stored(name, path, chain, self._details(name, chain.fingerprint))

    def put(self, name: str, pem: bytes, directory: str, challenge: str = "") -> Stored:
        """Store a key with its chain. Raises OSError, or ValueError if they are not for this name."""
        chain = chain_of(pem, name)
        details = Details(chain.fingerprint, directory, challenge)
        write_secret(self._certificate(name), pem)
        self._failure(name).unlink(missing_ok=True)
        self.note(name, details)
        return Stored(name, self._certificate(name), chain, details)

    def note(self, name: str, details: Details) -> None:
        """Store what is known of a certificate. Raises OSError."""
        write_secret(self._certificate(name).with_suffix(".json"), json.dumps(asdict(details)).encode())

    def failure(self, name: str) -> Failure | None:
        """Return the last failure to obtain a certificate for a name, by any process, if none was obtained since."""
        try:
            found = json.loads(self._failure(name).read_bytes())
            return Failure(str(found["reason"]), float(found["until"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put_failure(self, name: str, failure: Failure) -> None:
        """Store a failure. Raises OSError."""
        write_secret(self._failure(name), json.dumps(asdict(failure)).encode())

    def account(self, directory: str) -> Account | None:
        """Return the account with the CA of this directory; None if there is none, or its file is damaged."""
        path = self._account(directory)
        try:
            found = json.loads(path.read_bytes())
            return Account(AccountKey.load(found["key"].encode()), str(found["url"]), str(found["contact"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            _log.warning("The account in %s can't be used, so another is made: %s", path, reason)
            return None

    def put_account(self, directory: str, account: Account) -> None:
        """Store an account. Raises OSError."""
        found = {
            "directory": directory,
            "url": account.url,
            "contact": account.contact,
            "key": account.key.dump().decode(),
        }
        write_secret(self._account(directory), json.dumps(found).encode())

    def answer(self, label: str) -> str | None:
        """Return the answer to a challenge. The label must be safe as a file's name."""
        try:
            return self.answer_path(label).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None

    def answer_path(self, label: str) -> Path:
        """Return the file of the answer to a challenge, whether or not it is there."""
        return self._folders["challenges"] / _file_name(label)

    def put_answer(self, label: str, answer: str) -> None:
        """Store the answer to a challenge, for other processes. Raises OSError."""
        write_secret(self.answer_path(label), answer.encode())

    def remove_answer(self, label: str) -> None:
        """Remove the answer to a challenge."""
        with contextlib.suppress(OSError):
            self.answer_path(label).unlink()

    @contextlib.contextmanager
    def locked(self, what: str, stop: Stop) -> Iterator[bool]:
        """Lock a name, or something that is no name, within this block; yields whether it had to be waited for.

        It is locked for other processes and for other threads. What is no name has a colon in it, and is no address, so
        that no name has the same lock. Raises AcmeStopped, and OSError.
        """
        path = self._folders["certificates"] / f"{_file_name(what)}.lock"
        waited = False
        with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            while not try_lock(file):
                waited = True
                stop.wait(LOCK_PAUSE)
            yield waited

    def _details(self, name: str, fingerprint: str) -> Details | None:
        try:
            found = Details.parse(self._certificate(name).with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None  # nothing that is needed
        return found if found.fingerprint == fingerprint else None

    def _certificate(self, name: str) -> Path:
        return self._folders["certificates"] / f"{_file_name(name)}.pem"

    def _failure(self, name: str) -> Path:
        return self._certificate(name).with_suffix(".failure")

    def _account(self, directory: str) -> Path:
        host = urlsplit(directory).hostname or "ca"
        digest = hashlib.sha256(directory.encode()).hexdigest()[:12]
        return self._folders["accounts"] / f"{_file_name(host)}-{digest}.json"

    def _remove_stale(self, now: float) -> None:
        for path in (*self._folders["challenges"].iterdir(), *self.path.glob(f"*/.*{UNFINISHED}")):
            with contextlib.suppress(OSError):  # another process may have removed it
                if path.stat().st_mtime < now - STALE:
                    path.unlink()


def _file_name(text: str) -> str:
    """Return a name for a file: no separators, no colons (which Windows does not allow), and not too long."""
    safe = "".join(char if char.isalnum() or char in ".-_" else "_" for char in text)
    return safe if len(safe) <= _LONGEST else f"{safe[:_LONGEST]}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
