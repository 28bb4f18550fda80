"""The driver of the protocol: it carries the steps out, and blocks its thread while it does."""

from typing import Protocol

from snakepit.acme.answers import Answers
from snakepit.acme.steps import Challenge, Pause, Request, Response, Step, Steps
from snakepit.acme.stopping import Stop


class Web(Protocol):
    """What sends requests."""

    def wait_response(self, request: Request) -> Response:
        """Send a request and return the response. Raises AcmeError."""
        ...


class AcmeClient:
    """Carries steps out, with what sends requests, and with the answers to challenges that the server gives."""

    def __init__(self, web: Web, answers: Answers, stop: Stop) -> None:
        self._web = web
        self._answers = answers
        self._stop = stop

    def wait_run[T](self, steps: Steps[T]) -> T:
        """Carry all steps out and return their result. Raises AcmeError. Challenges are answered until then."""
        answered: list[Challenge] = []
        result: Response | None = None
        try:
            while True:
                self._stop.check()
                try:
                    step = steps.send(result)
                except StopIteration as end:
                    found: T = end.value
                    return found
                result = self._wait_done(step, answered)
        finally:
            steps.close()
            for challenge in answered:
                self._answers.remove(challenge)

    def _wait_done(self, step: Step, answered: list[Challenge]) -> Response | None:
        match step:
            case Request():
                return self._web.wait_response(step)
            case Pause(seconds):
                self._stop.wait(seconds)
            case Challenge():
                answered.append(step)
                self._answers.add(step)
        return None
