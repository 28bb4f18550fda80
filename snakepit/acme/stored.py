"""What is stored, for people: `snakepit certificates` where no server runs."""

import time
from pathlib import Path
from typing import Any

from snakepit.acme.local_ca import trust_command
from snakepit.acme.manager import description
from snakepit.acme.renewal import due
from snakepit.acme.store import CertificateStore, default_folder
from snakepit.errors import ConfigError


def stored_certificates(folder: str | None) -> list[dict[str, Any]]:
    """Return what is known of each stored certificate, in the form in which a server says it. Raises ConfigError."""
    path = Path(folder) if folder is not None else default_folder()
    if not path.exists():
        return []
    now = time.time()
    found = []
    for stored in CertificateStore(path).certificates():
        state = "stored" if stored.chain.not_after > now else "expired"
        suggestion = stored.details.suggestion if stored.details is not None else None
        found.append(description(stored.name, state, stored, due(stored.chain, suggestion)))
    return found


def trust(folder: str | None) -> str:
    """Return the command that makes this machine trust the local CA. Raises ConfigError."""
    path = Path(folder) if folder is not None else default_folder()
    root = path / "local-ca" / "root.crt"
    if not root.exists():
        raise ConfigError(f"there is no local CA yet in {path}: snakepit run APP --domain localhost makes one")
    return trust_command(root)
