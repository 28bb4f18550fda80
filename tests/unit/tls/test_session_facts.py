"""tls.session_facts: names as text, and what apps are told of a session between two ends in memory."""

import ssl

import pytest
from cryptography import x509
from tls_peers import MemoryClient, subject

from snakepit.tls.contexts import CertificateFiles, TlsOptions, load
from snakepit.tls.session_facts import describe, distinguished_name

LONG = {
    "CN": "commonName",
    "L": "localityName",
    "ST": "stateOrProvinceName",
    "O": "organizationName",
    "OU": "organizationalUnitName",
    "C": "countryName",
    "STREET": "streetAddress",
    "DC": "domainComponent",
    "UID": "userId",
}


@pytest.mark.parametrize(
    "value",
    [
        "alice",
        "Smith, Alice",
        'a "quoted" one',
        "a+b",
        "<tag>",
        "semi;colon",
        "back\\slash",
        "=",
        " leading",
        "trailing ",
        " both ",
        "  two  ",
        " ",
        "#number",
        "a#b",
        "nul\0inside",
        "Zoë Müller",
        "\U0001f40d",
        "a,",
        "\\",
        "\\ ",
    ],
)
def test_values_are_escaped(value):
    """As RFC 4514 has it, which the library follows, too."""
    name = subject(value)
    assert distinguished_name(((("commonName", value),),)) == name.rfc4514_string()


def test_each_kind_that_has_a_short_name():
    pairs = [
        ("country_name", "CH", "C"),
        ("state_or_province_name", "Bern", "ST"),
        ("locality_name", "Thun", "L"),
        ("street_address", "Main, 1", "STREET"),
        ("organization_name", "Tests", "O"),
        ("organizational_unit_name", "Unit", "OU"),
        ("domain_component", "example", "DC"),
        ("user_id", "alice", "UID"),
        ("common_name", "alice", "CN"),
    ]
    name = x509.Name([x509.NameAttribute(getattr(x509.NameOID, kind.upper()), value) for kind, value, _ in pairs])
    python = tuple(((LONG[short], value),) for _, value, short in pairs)
    assert distinguished_name(python) == name.rfc4514_string()


def test_several_values_in_one_part():
    name = x509.Name(
        [
            x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CH")]),
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(x509.NameOID.COMMON_NAME, "alice"),
                    x509.NameAttribute(x509.NameOID.USER_ID, "7"),
                ]
            ),
        ]
    )
    text = distinguished_name(((("countryName", "CH"),), (("commonName", "alice"), ("userId", "7"))))
    assert text == "CN=alice+UID=7,C=CH"
    assert x509.Name.from_rfc4514_string(text) == name


def test_a_kind_without_a_short_name():
    assert distinguished_name(((("emailAddress", "a@example.com"),),)) == "emailAddress=a@example.com"


def test_no_name():
    assert distinguished_name(()) == ""


class Ends:
    """A session in memory."""

    def __init__(self, certificates, options, **of_client):
        files = certificates.write(certificates.server(), "facts")
        self.loaded = load(CertificateFiles(*files), options)
        self.client_context = certificates.client_context(**of_client)

    def shake(self, session=None):
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.loaded.context.wrap_bio(received, sent, server_side=True)
        client = MemoryClient(self.client_context, session=session)
        done = False
        data = client.step()
        while not (done and client.shaken and not data):
            received.write(data)
            try:
                server.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            data = client.step(sent.read())
        return server, client


def shaken(certificates, **of_client):
    ends = Ends(certificates, TlsOptions(), **of_client)
    return ends.shake()[0], ends.loaded


@pytest.mark.parametrize(
    ("version", "number", "name"),
    [(ssl.TLSVersion.TLSv1_2, 0x0303, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, 0x0304, "TLSv1.3")],
)
def test_a_client_without_a_certificate(certificates, version, number, name):
    session, loaded = shaken(certificates, most=version)
    extension, variables = describe(session, loaded)
    cipher = session.cipher()[0]
    assert extension == {
        "server_cert": certificates.server().pem,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": number,
        "cipher_suite": extension["cipher_suite"],
    }
    assert variables == {"HTTPS": "on", "SSL_PROTOCOL": name, "SSL_CIPHER": cipher, "SSL_CLIENT_VERIFY": "NONE"}
    known = {"TLS_AES_256_GCM_SHA384": 0x1302, "TLS_AES_128_GCM_SHA256": 0x1301, "TLS_CHACHA20_POLY1305_SHA256": 0x1303}
    known |= {"ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C, "ECDHE-ECDSA-AES128-GCM-SHA256": 0xC02B}
    assert extension["cipher_suite"] == known[cipher]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_client_with_a_certificate(certificates, version, resumed):
    """One that resumes a session shows none, but has it all the same; only those of CAs are not kept."""
    client = certificates.client()
    options = TlsOptions(client_certificates=ssl.CERT_REQUIRED, client_ca=certificates.ca_file)
    ends = Ends(certificates, options, most=version, shows=client)
    session, ours = ends.shake()
    if resumed:
        session, ours = ends.shake(ours.session.session)
        assert session.session_reused
    extension, variables = describe(session, ends.loaded)
    assert extension["client_cert_chain"] == ([client.pem] if resumed else [client.pem, certificates.ca.pem])
    assert extension["client_cert_name"] == client.certificate.subject.rfc4514_string()
    assert extension["client_cert_error"] is None
    assert variables["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert variables["SSL_CLIENT_CERT"] == client.pem
    assert variables["SSL_CLIENT_S_DN"] == extension["client_cert_name"]
    assert variables["SSL_CLIENT_I_DN"] == "CN=Tests' CA"
    assert int(variables["SSL_CLIENT_M_SERIAL"], 16) == client.certificate.serial_number
    end = ssl.cert_time_to_seconds(variables["SSL_CLIENT_V_END"])
    assert end == client.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_client_that_may_have_one_and_has_none(certificates, resumed):
    options = TlsOptions(client_certificates=ssl.CERT_OPTIONAL, client_ca=certificates.ca_file)
    ends = Ends(certificates, options)
    session, ours = ends.shake()
    if resumed:
        session, ours = ends.shake(ours.session.session)
        assert session.session_reused
    extension, variables = describe(session, ends.loaded)
    assert extension["client_cert_chain"] == []
    assert extension["client_cert_name"] is None
    assert variables["SSL_CLIENT_VERIFY"] == "NONE"
