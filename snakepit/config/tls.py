"""Options for TLS: `--ssl-*`, and the tables `[[tls]]` of a file, each with one more certificate."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from snakepit.config.acme import HTTP_PORT, AcmeOptions
from snakepit.config.option import describe, option
from snakepit.config.static import ArrayReader
from snakepit.errors import ConfigError
from snakepit.system.working_directory import absolute

NAME = "tls"
"""The key of the tables, and the field of `Config`."""

type TlsVersion = Literal["TLSv1.2", "TLSv1.3"]
type ClientCertificates = Literal["none", "optional", "required"]

_HOST = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]+")


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not _HOST.fullmatch(name):
            raise ConfigError(f"names must be hosts, such as www.example.com or *.example.com, not {name!r}")


def _check_file(key: str, path: str) -> None:
    if not os.path.isfile(path):
        what = "is not a file" if os.path.exists(path) else "does not exist"
        raise ConfigError(f"{key}: {path} {what}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsCertificate:
    """A certificate, and which hosts it is for. Raises ConfigError for a wrong value."""

    certfile: str = option("", "The certificate: a PEM file, with those of intermediate CAs behind it.", path=True)
    keyfile: str | None = option(
        None, "Its key: a PEM file.", path=True, shown="in the file with the certificate"
    )  # fmt: skip
    keyfile_password: str | None = option(None, "The password of its key.", secret=True)
    names: tuple[str, ...] = option(
        (), "The hosts that it is for.", shown="those that the certificate names", form=_check_names
    )

    def __post_init__(self) -> None:
        for each in KEYS:
            each.check(getattr(self, each.name))
        for key in ("certfile", "keyfile"):
            path = getattr(self, key)
            if path is not None:
                _check_file(key, path)
                object.__setattr__(self, key, absolute(path))  # the app may change the working directory
        object.__setattr__(self, "names", tuple(name.lower() for name in self.names))

    def __str__(self) -> str:
        names = f" for {', '.join(self.names)}" if self.names else ""
        return f"{self.certfile}{names}"


KEYS = describe(TlsCertificate)
"""The keys of a table `[[tls]]`, as options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions(AcmeOptions):
    """The options for TLS."""

    ssl_certfile: str | None = option(
        None, "Speak HTTPS, with the certificate in this PEM file, and those of intermediate CAs behind it.",
        metavar="FILE", path=True,
    )  # fmt: skip
    ssl_keyfile: str | None = option(
        None, "The certificate's key, a PEM file.", metavar="FILE", path=True, shown="in the file of --ssl-certfile"
    )
    ssl_keyfile_password: str | None = option(None, "The password of the key.", metavar="TEXT", secret=True)
    ssl_version: TlsVersion = option("TLSv1.2", "The oldest version of TLS to speak.")
    ssl_cert_reqs: ClientCertificates = option(
        "none", "Certificates of clients. optional: those that clients have are checked. required: every client needs "
        "one.",
    )  # fmt: skip
    ssl_ca_certs: str | None = option(
        None, "The CAs that clients' certificates must come from: a PEM file.", metavar="FILE", path=True
    )
    ssl_ciphers: str = option(
        "", "Cipher suites for TLS 1.2, as OpenSSL names them.", metavar="LIST", shown="as Python has them"
    )
    ssl_handshake_timeout: float = option(
        10.0, "Seconds that a TLS handshake may take.", least=0.1, metavar="SECONDS"
    )  # fmt: skip
    redirect_http: int | None = option(
        None, "Listen on this port, too, and send clients that speak plain HTTP there to HTTPS, with 308.",
        least=1, most=65535, metavar="PORT",
    )  # fmt: skip
    hsts: int = option(
        0, "Seconds for which browsers shall use HTTPS only, told by Strict-Transport-Security. 0: not told.",
        least=0, metavar="SECONDS",
    )  # fmt: skip

    tls: tuple[TlsCertificate, ...] = ()
    """All certificates: that of `ssl_certfile`, and those given here, of which hosts choose one by name (SNI)."""

    def _check_tls(self) -> None:
        """Join both ways to name certificates. Raises ConfigError."""
        if (
            self.domain
            and self.redirect_http is None
            and self.port is None
            and not (self.bind or self.uds)
            and self.fd is None
        ):
            object.__setattr__(self, "redirect_http", HTTP_PORT)
        self._check_acme()
        object.__setattr__(self, "tls", self._certificates())
        for name in ("ssl_keyfile", "ssl_keyfile_password"):
            if getattr(self, name) is not None and self.ssl_certfile is None:
                raise ConfigError(f"{name} needs ssl_certfile", (name,))
        if self.ssl_cert_reqs != "none" and self.ssl_ca_certs is None:
            raise ConfigError("ssl_cert_reqs needs ssl_ca_certs: whom else should be believed?", ("ssl_cert_reqs",))
        if self.ssl_ca_certs is not None:
            _check_file("ssl_ca_certs", self.ssl_ca_certs)
            object.__setattr__(self, "ssl_ca_certs", absolute(self.ssl_ca_certs))
        if not self.speaks_tls:
            for name in ("redirect_http", "hsts", "ssl_ca_certs"):
                if getattr(self, name):
                    raise ConfigError(f"{name} needs a certificate: ssl_certfile or domain", (name,))

    def _certificates(self) -> tuple[TlsCertificate, ...]:
        if not isinstance(self.tls, tuple | list) or not all(isinstance(each, TlsCertificate) for each in self.tls):
            raise ConfigError(f"{NAME} must be TlsCertificate, several of them in a tuple, not {self.tls!r}")
        if self.ssl_certfile is None:
            return tuple(self.tls)
        try:
            first = TlsCertificate(
                certfile=self.ssl_certfile, keyfile=self.ssl_keyfile, keyfile_password=self.ssl_keyfile_password
            )
        except ConfigError as error:
            raise ConfigError(f"ssl_{error}", ("ssl_certfile", "ssl_keyfile")) from None
        return (first, *(each for each in self.tls if each != first))

    @property
    def speaks_tls(self) -> bool:
        """Whether clients have to speak HTTPS."""
        return bool(self.tls or self.domain)


EXAMPLE = "certfile = ..."
"""What a table needs."""


def read_tables(reader: ArrayReader, tables: Sequence[Mapping[str, Any]]) -> tuple[TlsCertificate, ...]:
    """Read the tables `[[tls]]` of a file; what is wrong goes to the reader's mistakes."""
    found: list[TlsCertificate] = []
    for number, table in enumerate(tables):
        values, valid = reader.values_of(NAME, number, table, KEYS)
        if "certfile" not in _normal(table):
            reader.mistake(reader.line_of(NAME, number), f"[[{NAME}]] needs certfile = ...")
        elif valid:
            try:
                found.append(TlsCertificate(**values))
            except ConfigError as error:
                key = str(error).partition(":")[0]
                reader.mistake(reader.line_of(NAME, number, key), f"{NAME}.{error}")
    return tuple(found)


def _normal(table: Mapping[str, Any]) -> set[str]:
    return {key.replace("-", "_") for key in table}
