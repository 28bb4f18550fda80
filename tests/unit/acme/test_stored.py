"""snakepit.acme.stored: what is stored, for people."""

import time

import pytest
from certificates import pem

from snakepit.acme.local_ca import LocalCa
from snakepit.acme.store import CertificateStore
from snakepit.acme.stored import stored_certificates, trust
from snakepit.errors import ConfigError


def test_certificates(tmp_path):
    folder = tmp_path / "acme"
    assert stored_certificates(str(folder)) == []
    assert not folder.exists()
    store = CertificateStore(folder)
    store.put("new.example", pem(["new.example"], start=int(time.time())), "https://ca.test/dir")
    store.put("old.example", pem(["old.example"]), "https://ca.test/dir")
    new, old = stored_certificates(str(folder))
    assert (new["name"], new["state"], new["directory"]) == ("new.example", "stored", "https://ca.test/dir")
    assert new["not_before"] < new["next"] < new["not_after"]
    assert (old["name"], old["state"], old["not_after"]) == ("old.example", "expired", "2024-02-12T22:13:20Z")


def test_the_command_that_trusts_the_local_ca(tmp_path):
    with pytest.raises(ConfigError, match="there is no local CA yet"):
        trust(str(tmp_path / "acme"))
    store = CertificateStore(tmp_path / "acme")
    LocalCa(store.local_ca).issue("localhost")
    assert str(store.local_ca / "root.crt") in trust(str(tmp_path / "acme"))
