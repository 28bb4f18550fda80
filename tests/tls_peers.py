"""Makes certificates: a CA, an intermediate CA, servers, clients; and TLS clients that speak through memory."""

import ssl
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PASSWORD = "a password that nobody may see"
"""Of encrypted keys."""

_HELD = timedelta(days=30)


@cache
def _rsa_key(number: int) -> rsa.RSAPrivateKey:
    """Make a key; it takes a while, so that few are made."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def new_key(kind: str = "ec") -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    """Make a key: "ec" or "rsa"."""
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else _rsa_key(0)


def pem_of_key(key, password: str | None = None) -> str:
    """Return a key as PEM."""
    encryption = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password.encode("utf-8"))
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


class Certificate:
    """A certificate and its key, and those of the CAs between it and the root."""

    def __init__(self, certificate: x509.Certificate, key, chain: tuple["Certificate", ...] = ()) -> None:
        self.certificate = certificate
        self.key = key
        self.chain = chain

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def chain_pem(self) -> str:
        """The certificate, and those of intermediate CAs behind it."""
        return "".join(each.pem for each in (self, *self.chain))

    @property
    def key_pem(self) -> str:
        return pem_of_key(self.key)

    def write(self, folder: Path, name: str, password: str | None = None) -> tuple[str, str]:
        """Write NAME.pem and NAME.key into a folder, and return both paths."""
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_text(self.chain_pem)
        key.write_text(pem_of_key(self.key, password))
        return str(certificate), str(key)

    def write_joined(self, folder: Path, name: str) -> str:
        """Write certificate and key into one file."""
        path = folder / f"{name}.pem"
        path.write_text(self.chain_pem + self.key_pem)
        return str(path)


def subject(common_name: str = "", **more: str) -> x509.Name:
    """Make a name; `more` are names of `NameOID` in lower case."""
    pairs = {**more, **({"common_name": common_name} if common_name else {})}
    return x509.Name([x509.NameAttribute(getattr(NameOID, name.upper()), value) for name, value in pairs.items()])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Ca(Certificate):
    """A CA."""

    def issue(
        self,
        *names: str,
        kind: str = "ec",
        name: x509.Name | None = None,
        client: bool = False,
        begin: datetime | None = None,
        end: datetime | None = None,
        key=None,
    ) -> Certificate:
        """Make a certificate for hosts and addresses, or for a client."""
        key = key or new_key(kind)
        builder = _builder(subject(names[0]) if name is None else name, self.certificate.subject, key, begin, end)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(each) for each in names]), False)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(_signed_by(self.key), False)
        return Certificate(builder.sign(self.key, hashes.SHA256()), key, self._issuers)

    def intermediate(self, name: str) -> "Ca":
        """Make a CA whose certificate this one has signed."""
        return new_ca(name, self)

    @property
    def _issuers(self) -> tuple[Certificate, ...]:
        is_root = self.certificate.issuer == self.certificate.subject
        return () if is_root else (self, *self.chain)


def _builder(name, issuer, key, begin=None, end=None) -> x509.CertificateBuilder:
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin or now - timedelta(hours=1))
        .not_valid_after(end or now + _HELD)
    )


def _signed_by(key) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def new_ca(name: str, parent: Ca | None = None) -> Ca:
    key = new_key()
    of = subject(name)
    issuer, signer = (of, key) if parent is None else (parent.certificate.subject, parent.key)
    builder = _builder(of, issuer, key).add_extension(x509.BasicConstraints(True, None), True)
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(usage, True)
    builder = builder.add_extension(_signed_by(signer), False)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(identifier, False)
    return Ca(builder.sign(signer, hashes.SHA256()), key, () if parent is None else parent._issuers)


class Certificates:
    """What a run of the tests has of certificates. Each is made once, when it is asked for first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = new_ca("Tests' CA")
        self.other_ca = new_ca("A CA that nobody trusts")
        self.ca_file = str(folder / "ca.pem")
        Path(self.ca_file).write_text(self.ca.pem)
        self._made: dict[tuple[object, ...], Certificate] = {}

    def server(self, *names: str, kind: str = "ec") -> Certificate:
        """Return a server's certificate, for localhost and 127.0.0.1 if no name is given."""
        return self._once(
            ("server", names, kind), lambda: self.ca.issue(*(names or ("localhost", "127.0.0.1")), kind=kind)
        )

    def client(self, **name: str) -> Certificate:
        """Return a client's certificate."""
        of = name or {"common_name": "alice", "organization_name": "Tests", "country_name": "CH"}
        return self._once(("client", *of.items()), lambda: self.ca.issue(name=subject(**of), client=True))

    @property
    def strange_client(self) -> Certificate:
        """A client's certificate of a CA that the server does not trust."""
        return self._once(("strange",), lambda: self.other_ca.issue(name=subject("mallory"), client=True))

    @property
    def behind_intermediate(self) -> Certificate:
        """A certificate for chain.test that an intermediate CA has issued."""
        return self._once(("chain",), lambda: self.ca.intermediate("Between").issue("chain.test", "localhost"))

    def write(self, certificate: Certificate, name: str, password: str | None = None) -> tuple[str, str]:
        """Write a certificate and its key into the folder, and return both paths."""
        return certificate.write(self.folder, name, password)

    def _once(self, key: tuple[object, ...], make) -> Certificate:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def client_context(
        self,
        least: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
        most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        shows: Certificate | None = None,
        protocols: list[str] | None = None,
    ) -> ssl.SSLContext:
        """Make a context of a client that trusts the CA; `shows`: its own certificate."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version, context.maximum_version = least, most
        if protocols:
            context.set_alpn_protocols(protocols)
        if shows is not None:
            files = self.write(shows, f"shown-{shows.certificate.serial_number}")
            context.load_cert_chain(*files)
        return context


class MemoryClient:
    """A TLS client whose bytes go where the test takes them."""

    def __init__(self, context: ssl.SSLContext, name: str | None = "localhost", session=None) -> None:
        self.received, self.sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        if name is None:
            context.check_hostname = False
        self.session = context.wrap_bio(self.received, self.sent, server_hostname=name, session=session)
        self.shaken = False
        self.heard = b""
        self.ended = False  # the server has said that nothing more comes

    def step(self, data: bytes = b"") -> bytes:
        """Go on with what came from the server, and return what is to be sent."""
        if data:
            self.received.write(data)
        try:
            if not self.shaken:
                self.session.do_handshake()
                self.shaken = True
            while piece := self.session.read(65536):
                self.heard += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        return self.sent.read()

    def say(self, data: bytes) -> bytes:
        """Return data as they are to be sent."""
        self.session.write(data)
        return self.sent.read()

    def say_goodbye(self) -> bytes:
        """Return the message that nothing more comes."""
        try:
            self.session.unwrap()
        except ssl.SSLError:
            pass
        return self.sent.read()


def client_hello(context: ssl.SSLContext | None = None, name: str | None = "localhost") -> bytes:
    """Return what a client says first."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
    return MemoryClient(context, name).step()


class KeyChanges:
    """The client's side of a session of TLS 1.3, made by hand: it changes its keys (RFC 8446 sections 4.6.3, 5.2, 7.1).

    Args:
        session: whose handshake is complete, and which has sent nothing since.
        keys: the file into which its context has written its keys.
    """

    def __init__(self, session: ssl.SSLObject, keys: Path) -> None:
        (line,) = [line for line in keys.read_text().splitlines() if line.startswith("CLIENT_TRAFFIC_SECRET_0 ")]
        self._secret = bytes.fromhex(line.split()[-1])
        self._hash = hashes.SHA384() if "SHA384" in session.cipher()[0] else hashes.SHA256()
        self._size = session.cipher()[2] // 8
        self._count = 0  # records with this key

    def change(self) -> bytes:
        """Return the message that demands that the server changes its keys, too; afterwards the client's are new."""
        record = self._record(b"\x18\x00\x00\x01\x01", b"\x16")
        self._secret = self._derive(b"traffic upd", self._hash.digest_size)
        self._count = 0
        return record

    def say(self, data: bytes) -> bytes:
        """Return data as they are to be sent."""
        return self._record(data, b"\x17")

    def _record(self, data: bytes, kind: bytes) -> bytes:
        head = b"\x17\x03\x03" + (len(data) + 1 + 16).to_bytes(2)
        start = int.from_bytes(self._derive(b"iv", 12))
        nonce = (start ^ self._count).to_bytes(12)
        self._count += 1
        return head + AESGCM(self._derive(b"key", self._size)).encrypt(nonce, data + kind, head)

    def _derive(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        info = size.to_bytes(2) + bytes((len(label),)) + label + b"\x00"
        return HKDFExpand(self._hash, size, info).derive(self._secret)
