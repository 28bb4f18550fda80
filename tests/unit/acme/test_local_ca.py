"""snakepit.acme.local_ca: a CA for localhost and addresses, whose certificates clients accept."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from acme_stage import handshake
from cryptography import x509

from snakepit.acme.chains import chain_of
from snakepit.acme.local_ca import LEAF_LIFETIME, ROOT_LEFT, ROOT_LIFETIME, LocalCa, trust_command


@pytest.fixture
def ca(tmp_path):
    return LocalCa(tmp_path)


@pytest.fixture
def served(ca, tmp_path):
    def serve(name):
        path = tmp_path / "served.pem"
        path.write_bytes(ca.issue(name))
        return handshake(path, name, ca.root.read_text())

    return serve


@pytest.mark.parametrize("name", ["localhost", "app.localhost", "127.0.0.1", "::1"])
def test_clients_that_trust_the_root_accept_its_certificates(served, name):
    kind, found = served(name)["subjectAltName"][0]
    assert (kind, found.lower()) in {("DNS", name), ("IP Address", name), ("IP Address", "0:0:0:0:0:0:0:1")}


@pytest.mark.parametrize("name", ["example.com", "notlocalhost"])
def test_its_root_is_of_no_use_for_other_names(served, name):
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        served(name)


def test_the_root_is_made_once(ca, caplog):
    first = ca.issue("localhost")
    root = ca.root.read_bytes()
    second = ca.issue("localhost")
    assert ca.root.read_bytes() == root
    assert first != second
    assert caplog.text.count("A local CA was made. To trust it: ") == 1
    assert str(ca.root) in caplog.text
    assert "PRIVATE" not in caplog.text
    leaf = x509.load_pem_x509_certificates(first)[0]
    assert ca.signed(leaf)
    lifetime = chain_of(first, "localhost").lifetime
    assert lifetime == pytest.approx(LEAF_LIFETIME.total_seconds(), abs=3601)


def test_another_root_signs_what_the_first_did_not(ca, tmp_path):
    leaf = x509.load_pem_x509_certificates(ca.issue("localhost"))[0]
    (tmp_path / "other").mkdir()
    other = LocalCa(tmp_path / "other")
    assert not other.signed(leaf)  # it has no root yet
    other.issue("localhost")
    assert not other.signed(leaf)


@pytest.mark.parametrize("damage", ["root.crt", "root.key"])
def test_a_damaged_root_is_replaced(ca, tmp_path, damage, caplog):
    ca.issue("localhost")
    (tmp_path / damage).write_bytes(b"x")
    assert ca.signed(x509.load_pem_x509_certificates(ca.issue("localhost"))[0])
    assert "can't be used, so another is made" in caplog.text


def test_a_key_of_another_root(ca, tmp_path, caplog):
    (tmp_path / "other").mkdir()
    LocalCa(tmp_path / "other").issue("localhost")
    ca.issue("localhost")
    (tmp_path / "other" / "root.key").replace(tmp_path / "root.key")
    ca.issue("localhost")
    assert "its key is another one's" in caplog.text


def test_a_root_that_ends_soon_is_replaced(tmp_path, caplog):
    now = datetime.now(UTC)
    ca = LocalCa(tmp_path, lambda: now)
    ca.issue("localhost")
    root = ca.root.read_bytes()
    now += ROOT_LIFETIME - ROOT_LEFT - timedelta(days=1)
    ca.issue("localhost")
    assert ca.root.read_bytes() == root
    now += timedelta(days=2)
    ca.issue("localhost")
    assert ca.root.read_bytes() != root
    assert "has to be trusted anew" in caplog.text


@pytest.mark.parametrize(
    ("platform", "release", "wanted"),
    [
        ("linux", "ID=debian\n", "sudo update-ca-certificates"),
        ("linux", 'ID=rocky\nID_LIKE="rhel centos fedora"\n', "sudo update-ca-trust"),
        ("linux", None, "sudo update-ca-certificates"),
        ("darwin", None, "security add-trusted-cert -r trustRoot"),
        ("win32", None, "certutil -addstore -user Root"),
    ],
)
def test_the_command_that_trusts_it(tmp_path, platform, release, wanted):
    path = tmp_path / "os-release"
    if release is not None:
        path.write_text(release)
    root = tmp_path / "a folder" / "root.crt"
    command = trust_command(root, platform, path)
    assert wanted in command
    assert f'"{root}"' in command if platform == "win32" else f"'{root}'" in command
