"""What comes of changes to the workers."""

from dataclasses import dataclass

STOPPING = "the server is stopping"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of replacing workers, or of having more or fewer; true if it is what was asked for."""

    count: int
    """The workers that were replaced, or started, or retired."""
    trouble: str = ""
    """Why it went no further."""

    def __bool__(self) -> bool:
        return not self.trouble

    @staticmethod
    def total(outcomes: "list[Outcome]") -> "Outcome":
        """Add up what came of several changes; the first trouble is the trouble of all."""
        count = sum(outcome.count for outcome in outcomes)
        return Outcome(count, next((outcome.trouble for outcome in outcomes if not outcome), ""))
