"""The routes with static files of a server, which may become others while it serves."""

from typing import TYPE_CHECKING

from snakepit.server.routing.files_first import FilesFirst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from snakepit.config.static import StaticFiles
    from snakepit.http.events import RequestHead
    from snakepit.server.exchanges.exchange import Destination
    from snakepit.server.responders.static_files.responder import StaticResponder
    from snakepit.server.routing.router import Finder


class StaticRoutes:
    """The routes with static files of a server.

    `router` finds who answers a request: one of their responders, or who is behind them.

    Args:
        make: makes the responder of a route.
        rest: finds who gets what none of the responders takes, or has.
    """

    def __init__(self, make: "Callable[[StaticFiles], StaticResponder]", rest: "Finder") -> None:
        self._make = make
        self._rest = rest
        self._responders: dict[StaticFiles, StaticResponder] = {}
        self.router: Finder = rest

    def find(self, head: "RequestHead") -> "Destination":
        """Return who answers a request now; for those who can't be told of another `router`."""
        return self.router.find(head)

    def become(self, sites: "Iterable[StaticFiles]") -> None:
        """Have these routes from now on.

        Those that stay keep what they remember. Those that go finish their answers.
        """
        before = self._responders
        self._responders = {
            site: before[site] if site in before else self._make(site) for site in sorted(sites, key=_order)
        }
        files_first = FilesFirst(self._responders.values(), self._rest)
        self.router = files_first if self._responders else self._rest
        for site, responder in before.items():
            if site not in self._responders:
                responder.hand_on_to(files_first)
                responder.retire()

    def close(self) -> None:
        """End their threads."""
        for responder in self._responders.values():
            responder.close()


def _order(site: "StaticFiles") -> tuple[bool, bool, bool, int]:
    """Return what comes first: a host before `*.` before any host, and one with a port before one without; then the
    longest route."""
    host = site.host
    return not host, host.startswith("*"), ":" not in host.rpartition("]")[2], -len(site.route.rstrip("/"))
