"""snakepit.acme.https: what it trusts, and that a stop comes first. tests/e2e/test_acme_https.py has the rest."""

import pytest

from snakepit.acme.https import Https, trusting
from snakepit.acme.problems import AcmeStopped
from snakepit.acme.steps import Request
from snakepit.acme.stopping import Stop
from snakepit.errors import ConfigError


def test_nothing_begins_after_a_stop():
    stop = Stop()
    stop.set()
    with pytest.raises(AcmeStopped):
        Https(trusting(None), stop).wait_response(Request("GET", "https://ca.invalid/"))


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_trust_file_that_can_t_be_read(tmp_path, content):
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="acme_ca_certs"):
        trusting(str(path))
