"""Outcomes of changes to the workers."""

from dataclasses import dataclass

STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a replacement or a scaling; true if it was carried out as requested."""

    count: int
    """The number of workers that were replaced, started, or retired."""
    trouble: str = ""
    """The error that ended the change; empty: none."""
    static: int = 0
    """The number of routes with static files that changed with a configuration file."""

    def __bool__(self) -> bool:
        return not self.trouble

    @staticmethod
    def total(outcomes: "list[Outcome]") -> "Outcome":
        """Combine the outcomes of several changes; the first trouble is the trouble of all."""
        count = sum(outcome.count for outcome in outcomes)
        return Outcome(count, next((outcome.trouble for outcome in outcomes if not outcome), ""))
