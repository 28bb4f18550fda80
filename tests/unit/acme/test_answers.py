"""snakepit.acme.answers: answers to challenges, in this process and beside it."""

import pytest
from cryptography import x509

from snakepit.acme.answers import Answers
from snakepit.acme.challenges import is_token
from snakepit.acme.problems import AcmeError
from snakepit.acme.steps import Challenge
from snakepit.acme.store import CertificateStore

HTTP = Challenge("http-01", "example.com", "token1", "token1.thumbprint")
ALPN = Challenge("tls-alpn-01", "example.com", "token2", "token2.thumbprint")


@pytest.fixture
def store(tmp_path):
    return CertificateStore(tmp_path / "acme")


def test_both_kinds_here_and_in_another_process(store):
    answers, other = Answers(store), Answers(store)
    answers.add(HTTP)
    answers.add(ALPN)
    for one in (answers, other):
        assert one.http("token1") == "token1.thumbprint"
        assert one.http("token2") is None
        x509.load_pem_x509_certificate(one.alpn("example.com").read_bytes())
        assert one.alpn("other.example") is None
    answers.remove(HTTP)
    answers.remove(ALPN)
    for one in (answers, other):
        assert one.http("token1") is one.alpn("example.com") is None
    assert list((store.path / "challenges").iterdir()) == []


def test_no_request_gets_the_key_of_the_other_kind(store):
    answers = Answers(store)
    answers.add(ALPN)
    names = [path.name for path in (store.path / "challenges").iterdir()]
    assert len(names) == 1
    assert not is_token(names[0])
    for token in (*names, "../accounts/x", "", "a" * 300):
        assert answers.http(token) is None


def test_a_disk_that_is_full(store, monkeypatch):
    def fail(label, answer):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "put_answer", fail)
    with pytest.raises(AcmeError, match="No space left"):
        Answers(store).add(HTTP)
