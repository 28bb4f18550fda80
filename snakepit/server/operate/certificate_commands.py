"""The commands of the control socket that are about certificates."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from snakepit.errors import SnakepitError
from snakepit.server.operate.control_socket import Command


class Certified(Protocol):
    """What obtains certificates."""

    def status(self) -> list[dict[str, Any]]:
        """Return what is known of the certificate for each name."""

    async def wait_renewed(self, name: str | None) -> list[dict[str, Any]]:
        """Renew the certificate for a name, or all of them, now; returns what is known of each then."""


def certificate_commands(
    automatic: Certified | None, of_files: Callable[[], list[dict[str, Any]]]
) -> dict[str, Command]:
    """Return the commands, by name.

    Args:
        automatic: None in a server that obtains none.
        of_files: returns what is known of those that come from files.
    """

    async def certificates(request: Mapping[str, Any]) -> dict[str, Any]:
        obtained = [] if automatic is None else automatic.status()
        return {"certificates": [*obtained, *of_files()]}

    async def renew(request: Mapping[str, Any]) -> dict[str, Any]:
        name = request.get("name")
        if not (name is None or isinstance(name, str)):
            raise SnakepitError(f"name must be a domain or an address, not {name!r}")
        if automatic is None:
            raise SnakepitError("this server obtains no certificates: it was started without --domain")
        return {"renewed": await automatic.wait_renewed(name)}

    return {"certificates": certificates, "renew-certificates": renew}
