"""The answers of a CA: whatever it says, its client ends with an error for the log, in bounded time and steps."""

import json
from collections.abc import Iterator

from fuzz.target import Choices, Fault, Found, expect
from snakepit.acme.chains import CertificateChain, any_chain_of
from snakepit.acme.challenges import is_token
from snakepit.acme.jws import thumbprint
from snakepit.acme.keys import AccountKey, key_pem, new_key
from snakepit.acme.names import canonical
from snakepit.acme.orders import obtain
from snakepit.acme.problems import AcmeError
from snakepit.acme.renewal import ask_suggestion
from snakepit.acme.session import Session
from snakepit.acme.steps import MOST_RETRY_AFTER, Challenge, Pause, Request, Response, Steps, seconds_of

MOST_STEPS = 1000
"""Of one flow: a CA that is asked whether it is done for three minutes takes a hundred."""

MOST_PAUSES = 1500.0
"""Seconds of them: an authorization for each of two names, and the order."""

STATUSES = (200, 201, 400, 404, 429, 503, 301, 204)
NOW = 1_800_000_000.0
_CHAIN = CertificateChain(frozenset({"a.example"}), NOW - 1000.0, NOW + 1000.0, "CA", "0" * 64, "abc.def")
_KEY = new_key()


def check(data: bytes) -> None:
    """Carry out a flow, by the first byte; each line is an answer, whose first two bytes say what stands around it."""
    choices = Choices(data)
    flow = choices.number(3)
    session = Session("https://ca.test/dir", AccountKey(_KEY))
    answers = _answers(choices.rest())
    try:
        if flow == 0:
            _run(session.register("a@b.example"), answers)
        elif flow == 1:
            session.account = "https://ca.test/account/1"
            names, kinds = ["a.example", "192.0.2.1"], ("http-01", "tls-alpn-01")
            print_of = thumbprint(AccountKey(_KEY).public)
            chain = _run(obtain(session, names, b"csr", kinds, print_of, "abc.def"), answers)
            try:
                any_chain_of(key_pem(_KEY) + chain)
            except ValueError:
                pass
        else:
            found = _run(ask_suggestion(session, _CHAIN, None, NOW, lambda start, end: (start + end) / 2), answers)
            if found is not None:
                expect(found.start <= found.chosen <= found.end, "renews outside of the window", found)
                expect(found.look_again > NOW, "asks again at once", found)
    except AcmeError as error:
        said = str(error)
        expect(said and said.isprintable() and len(said) < 20_000, "an error that no log can have", said)
        again = error.retry_after
        expect(again is None or 0 <= again <= MOST_RETRY_AFTER, "a time to try again", again)


def _answers(data: bytes) -> Iterator[Response]:
    """Yield a directory that is good if the first line is empty, and then answers, the last of them for ever."""
    first, *lines = data.split(b"\n")
    if not first:
        yield Response(200, {"replay-nonce": "n"}, json.dumps(DIRECTORY).encode())
    else:
        lines = [first, *lines]
    last = Response(200, {}, b"")
    for line in lines:
        choices = Choices(line)
        status, kind = choices.of(STATUSES), choices.number(32)
        headers = {"replay-nonce": "nonce"} if not kind & 1 else {}
        body = choices.rest()
        if kind & 2:
            location, _, body = body.partition(b"|")
            headers["location"] = location.decode("latin-1")
        elif not kind & 4:
            headers["location"] = "https://ca.test/order/1"
        retry_after = None
        if kind & 8:
            text, _, body = body.partition(b"|")
            retry_after = seconds_of(text.decode("latin-1"), NOW)
        last = Response(status, headers, body, retry_after)
        yield last
    while True:
        yield last


def _run[T](steps: Steps[T], answers: Iterator[Response]) -> T:
    """Carry steps out, and see to it that what is asked for makes sense."""
    result = None
    paused = 0.0
    for _ in range(MOST_STEPS):
        try:
            step = steps.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        result = None
        if isinstance(step, Request):
            expect(step.url.startswith("https://") and step.url.isprintable() and " " not in step.url, "a URL", step)
            result = next(answers)
        elif isinstance(step, Pause):
            expect(step.seconds > 0, "a pause", step)
            paused += step.seconds
            expect(paused <= MOST_PAUSES, "waits for too long", paused)
        elif isinstance(step, Challenge):
            expect(step.kind == "tls-alpn-01" or is_token(step.token), "a token that is none", step)
            expect(canonical(step.name) == step.name, "a name that is none", step)
    raise Found("it goes on for ever")


DIRECTORY = {
    "newNonce": "https://ca.test/nonce",
    "newAccount": "https://ca.test/account",
    "newOrder": "https://ca.test/order",
    "renewalInfo": "https://ca.test/renewal/",
}
_ORDER = (
    b'{"status":"%b","finalize":"https://ca.test/f","authorizations":["https://ca.test/a"],'
    b'"certificate":"https://ca.test/c"}'
)
_AUTHORIZATION = (
    b'{"status":"%b","identifier":{"type":"dns","value":"a.example"},'
    b'"challenges":[{"type":"http-01","url":"https://ca.test/h","token":"abc","error":{"type":"x","detail":"y"}}]}'
)
SEEDS = [
    b"\x00\n\x01\x00{}",
    b"\x00\x00\x00" + json.dumps(DIRECTORY | {"meta": {"externalAccountRequired": True}}).encode(),
    b"\x00\n\x02\x00" + b'{"type":"urn:ietf:params:acme:error:badNonce","detail":"d","subproblems":[{"type":"t"}]}',
    b"\x01\n"
    + b"\n".join(
        [
            b"\x01\x00" + _ORDER % b"pending",
            b"\x00\x00" + _AUTHORIZATION % b"pending",
            b"\x00\x00{}",
            b"\x00\x00" + _AUTHORIZATION % b"valid",
            b"\x00\x00" + _ORDER % b"ready",
            b"\x00\x00" + _ORDER % b"valid",
            b"\x00\x00" + _ORDER % b"valid",
            b"\x00\x00-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----",
        ]
    ),
    b"\x01\n\x01\x00" + _ORDER % b"pending" + b"\n\x00\x00" + _AUTHORIZATION % b"pending" + b"\n\x00\x00{}\n\x00\x00"
    + _AUTHORIZATION % b"invalid",
    b"\x01\n\x01\x00" + _ORDER % b"processing",
    b'\x01\n\x01\x00{"status":"pending","finalize":5}',
    b'\x02\n\x00\x00{"suggestedWindow":{"start":"2027-01-02T04:00:00Z","end":"2027-01-03T04:00:00Z"}}',
    b"\x02\n\x05\x0812|no",
    b"\x02\n\x05\x08Fri, 31 Dec 9999 23:59:59 GMT|{}",
]  # fmt: skip
WORDS = [
    *(b"\n\x00\x00", b"\n\x01\x00", b"\n\x02\x00", b"\n\x00\x08", b"\n\x00\x02", b"|", b"{}", b"[]", b"null"),
    *(b'"status":', b'"pending"', b'"valid"', b'"ready"', b'"invalid"', b'"processing"', b'"deactivated"', b"https://"),
    *(b'"challenges":', b'"identifier":', b'"authorizations":', b'"error":', b'"token":', b'"http-01"'),
    *(b"badNonce", b"\\u0000", b"\\ud800", b"\\n", b"9999-12-31", b"0001-01-01T00:00:00+23:59", b"-1", b"[" * 50),
]  # fmt: skip
FAULTS = [
    Fault("acme/problems.py", "if char.isprintable() else", "if True else"),
    Fault("acme/steps.py", "        if not isinstance(found, str):\n", "        if found is None:\n"),
    Fault("acme/session.py", 'problem.kind != "badNonce" or attempt == NONCE_ATTEMPTS', 'problem.kind != "badNonce"'),
    Fault("acme/renewal.py", "    except (ValueError, OverflowError):\n", "    except OverflowError:\n"),
]
LONGEST = 3000
