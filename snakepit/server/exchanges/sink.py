"""What an exchange needs of its worker, and of the clock."""

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from snakepit.wire.envelopes import Envelope


class EnvelopeSink(Protocol):
    """Takes envelopes for a worker."""

    def post(self, envelope: "Envelope", large: bool = False, /) -> None:
        """Send; `large`: its body may be LARGE."""


class ResponseDeadlines[X](Protocol):
    """Limits the time until the app begins to answer an exchange."""

    def add(self, exchange: X, /) -> None:
        """Start its time, anew if it runs."""

    def discard(self, exchange: X, /) -> None:
        """Stop its time."""


class BodyKeeper(Protocol):
    """The keeper of a request's body that is not to be passed on yet."""

    @property
    def data(self) -> bytearray:
        """All that has come, or the first of it."""

    @property
    def rest(self) -> "BodyRest | None":
        """What has come behind that."""

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more; returns whether all that has come is to be passed on now. Raises OSError: it is not kept."""

    def pass_on(self) -> None:
        """Let the exchange go its way: it has the body again."""


class BodyRest(Protocol):
    """The rest of a request's body that is complete, and of which a worker gets more whenever it has read some."""

    def read(self) -> tuple[bytes, bool]:
        """Return some more, and whether that is not all. Raises OSError."""

    def close(self) -> None:
        """Forget it."""


class AnswerKeeper[X](Protocol):
    """The keeper of the rest of an answer, which the client takes more slowly than the app gives it."""

    @property
    def complete(self) -> bool:
        """Whether it is all there is to come of the answer."""

    def add(self, data: bytes, more: bool) -> bool:
        """Keep some more, and send what the client takes; returns whether the app may go on."""

    def go_on(self, exchange: X) -> None:
        """Hear that the client takes more, or that the exchange is over."""


class AnswerKeepers[X](Protocol):
    """Makes keepers of answers."""

    def keep(self, exchange: X) -> AnswerKeeper[X]:
        """Begin to keep an answer, which has begun."""
