"""tls.contexts: certificates read from files, and what is wrong with them in one sentence."""

import ssl

import pytest
from tls_peers import PASSWORD, MemoryClient

from snakepit.errors import ConfigError
from snakepit.tls.contexts import PROTOCOLS, CertificateFiles, TlsOptions, load


def loaded(certificate, key=None, password=None, names=(), **options):
    return load(CertificateFiles(str(certificate), key and str(key), password, names), TlsOptions(**options))


def trouble(*files, **options):
    with pytest.raises(ConfigError) as caught:
        loaded(*files, **options)
    return str(caught.value)


@pytest.fixture
def files(certificates, tmp_path):
    """A certificate and its key; the password of the key is that of tests."""
    return certificates.server().write(tmp_path, "server")


@pytest.fixture
def locked(certificates, tmp_path):
    return certificates.server().write(tmp_path, "locked", PASSWORD)


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_certificate_and_its_key(certificates, tmp_path, kind):
    made = certificates.server(kind=kind)
    found = loaded(*made.write(tmp_path, "server"))
    assert found.names == ("localhost", "127.0.0.1")
    assert found.facts.pem == made.pem
    assert found.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert found.context.verify_mode is ssl.CERT_NONE


def test_both_in_one_file(certificates, tmp_path):
    assert loaded(certificates.server().write_joined(tmp_path, "server")).names == ("localhost", "127.0.0.1")


def test_names_that_are_given(files):
    assert loaded(*files, names=("example.com",)).names == ("example.com",)


def test_an_encrypted_key(locked):
    assert loaded(*locked, PASSWORD).names == ("localhost", "127.0.0.1")


def test_a_password_is_not_shown():
    assert PASSWORD not in repr(CertificateFiles("a.pem", "a.key", PASSWORD))


@pytest.mark.parametrize(
    ("password", "message"),
    [
        (None, "the password of the key {key} is missing: the key is encrypted"),
        ("", "the password of the key {key} is missing: the key is encrypted"),
        ("another", "the password of the key {key} is wrong"),
        ("é" * 600, "the password of the key {key} is wrong"),
        ("x" * 2000, "the password of the key {key} is wrong"),
    ],
)
def test_a_wrong_password(locked, password, message):
    assert trouble(*locked, password) == message.format(key=locked[1])


@pytest.mark.parametrize("password", [None, PASSWORD])
def test_the_key_of_another_certificate(certificates, files, tmp_path, password):
    _, key = certificates.server("other.test").write(tmp_path, "other", password)
    assert trouble(files[0], key, password) == f"the key {key} is not that of the certificate {files[0]}"


def test_the_key_of_another_certificate_of_another_kind(certificates, files, tmp_path):
    _, key = certificates.server("other.test", kind="rsa").write(tmp_path, "other")
    assert trouble(files[0], key) == f"the key {key} is not that of the certificate {files[0]}"


def test_no_key(files):
    assert trouble(files[0]) == f"there is no key in {files[0]}: name its file with ssl_keyfile"


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_is_none(files, tmp_path, text):
    key = tmp_path / "bad.key"
    key.write_text(text)
    assert trouble(files[0], key).startswith(f"the key {key} can't be read: ")


def test_files_that_are_not_there(files, tmp_path):
    missing = tmp_path / "missing"
    assert trouble(missing) == f"the certificate {missing} can't be read: No such file or directory"
    assert trouble(files[0], missing) == f"the key {missing} can't be read: No such file or directory"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "the certificate in it is damaged"),
    ],
)
def test_a_certificate_that_is_none(files, tmp_path, text, message):
    path = tmp_path / "bad.pem"
    path.write_text(text)
    assert trouble(path, files[1]) == f"the certificate {path} can't be used: {message}"


def test_files_of_any_bytes(files, tmp_path):
    path = tmp_path / "bad.pem"
    path.write_bytes(bytes(range(256)) * 10)
    assert trouble(path, files[1]) == f"the certificate {path} can't be used: there is no certificate in it"
    assert trouble(files[0], path).startswith(f"the key {path} can't be read: ")


def test_ciphers(files):
    context = loaded(*files, ciphers="ECDHE+AESGCM").context
    names = {cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"}
    assert names
    assert all("GCM" in name and name.startswith("ECDHE-") for name in names)
    assert trouble(*files, ciphers="NONSENSE") == "ssl_ciphers: OpenSSL knows no cipher among 'NONSENSE'"


@pytest.mark.parametrize("text", [None, "", "no CA"])
def test_no_cas(files, tmp_path, text):
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    assert trouble(*files, client_ca=str(path)).startswith(f"ssl_ca_certs: {path}: ")


@pytest.mark.parametrize("offered", [["http/1.1"], ["h2", "http/1.1"], ["h2"], None])
def test_what_is_spoken(certificates, files, offered):
    context = loaded(*files).context
    client = MemoryClient(certificates.client_context(protocols=offered))
    received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(received, sent, server_side=True)
    data = client.step()
    while data:
        received.write(data)
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            pass
        data = client.step(sent.read())
    assert session.selected_alpn_protocol() == ("http/1.1" if offered and "http/1.1" in offered else None)
    assert PROTOCOLS == ["http/1.1"]


def test_what_changes_when_a_file_does(files, certificates, tmp_path):
    of = CertificateFiles(*files)
    before = of.state()
    assert of.state() == before
    certificates.server("other.test").write(tmp_path, "new")
    (tmp_path / "new.key").replace(files[1])
    assert of.state() != before
    (tmp_path / "new.key").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        CertificateFiles(files[0], str(tmp_path / "new.key")).state()
