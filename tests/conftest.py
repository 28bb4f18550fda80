"""Makes the modules of this folder importable in all tests: see waiting.py. And what both unit and e2e tests share."""

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A CA, and what it issues: see tls_peers.py, which takes a library that most tests can do without."""
    from tls_peers import Certificates

    return Certificates(tmp_path_factory.mktemp("certificates"))
