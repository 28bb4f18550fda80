"""Plays a CA for the protocol's steps: no sockets, no time."""

import json

from snakepit.acme.steps import Challenge, Pause, Request, Response

DIRECTORY = {
    "newNonce": "https://ca.test/nonce",
    "newAccount": "https://ca.test/account",
    "newOrder": "https://ca.test/order",
    "renewalInfo": "https://ca.test/renewal/",
    "meta": {"termsOfService": "https://ca.test/terms"},
}


class Ca:
    """A CA that answers each URL with what a test put there: a response, or a list of responses, one after another."""

    def __init__(self, **directory):
        self.nonces = 0
        self.at = {
            "https://ca.test/dir": self.json(DIRECTORY | directory),
            "https://ca.test/nonce": self.json({}),
        }
        self.asked = []  # requests, but those for nonces
        self.steps = []  # challenges and pauses

    def json(self, found, status=200, retry_after=None, **headers):
        """A response with a fresh nonce."""
        self.nonces += 1
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(
            status, {"replay-nonce": f"nonce{self.nonces}"} | headers, json.dumps(found).encode(), retry_after
        )

    def problem(self, kind, status=400, detail="because", retry_after=None, **more):
        return self.json({"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, **more}, status, retry_after)

    def wait_response(self, request):
        if request.method != "HEAD":
            self.asked.append(request)
        found = self.at[request.url]
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found

    def run(self, steps):
        """Carry steps out."""
        result = None
        while True:
            try:
                step = steps.send(result)
            except StopIteration as end:
                return end.value
            result = None
            if isinstance(step, Request):
                result = self.wait_response(step)
            else:
                assert isinstance(step, Challenge | Pause)
                self.steps.append(step)

    def pauses(self):
        return [step.seconds for step in self.steps if isinstance(step, Pause)]

    def urls(self):
        return [request.url for request in self.asked]


def signed_parts(request):
    """The protected header and the payload of a signed request."""
    from snakepit.acme.jws import from_base64url

    found = json.loads(request.body)
    payload = from_base64url(found["payload"])
    return json.loads(from_base64url(found["protected"])), json.loads(payload) if payload else None
