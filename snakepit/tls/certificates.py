"""The certificates of a server, and which of them a client gets."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from snakepit.errors import ConfigError
from snakepit.tls.client_hello import ClientHello
from snakepit.tls.contexts import ACME_PROTOCOL, CertificateFiles, LoadedCertificate, TlsOptions, file_state, load
from snakepit.tls.x509 import CertificateFacts

if TYPE_CHECKING:
    import asyncio

_OF_ACME = (ACME_PROTOCOL.encode("ascii"),)
"""What a CA offers that checks a name: this protocol alone (RFC 8737 section 3)."""


class Source(Protocol):
    """Makes certificates for names that have none."""

    def wanted(self, name: str) -> "asyncio.Future[None] | None":
        """Return a future that ends when there is a certificate, or none can be had; None: there will be none."""

    async def wait_challenge(self, name: str) -> LoadedCertificate | None:
        """Return what to show to a CA that checks a name (RFC 8737 section 3); None: that is not expected."""


class Certificates:
    """The certificates of a server by the names that they are for: of several for one name, the one that came last.

    The first one is shown to clients that name no host, or one that none is for.

    Args:
        options: of the certificates that are loaded from files.
        source: makes more of them.
    """

    def __init__(self, options: TlsOptions, source: Source | None = None) -> None:
        self.options = options
        self.source = source
        self._by_name: dict[str, list[LoadedCertificate]] = {}
        self._first: LoadedCertificate | None = None

    def __bool__(self) -> bool:
        return self._first is not None

    @property
    def all(self) -> list[LoadedCertificate]:
        """Each certificate once."""
        of_names = (each for several in self._by_name.values() for each in several)
        return list({id(each): each for each in (self._first, *of_names) if each is not None}.values())

    def add(self, certificate: LoadedCertificate, instead_of: LoadedCertificate | None = None) -> None:
        """Add a certificate, in the place of an older one. Handshakes from now on have it; connections go on."""
        for name in certificate.names:
            several = self._by_name.setdefault(name, [])
            if instead_of in several:
                several[several.index(instead_of)] = certificate
            elif certificate not in several:
                several.append(certificate)
        if self._first is None or self._first is instead_of:
            self._first = certificate
        if instead_of is not None:
            self.remove(instead_of)

    def remove(self, certificate: LoadedCertificate) -> None:
        """Remove a certificate. Names that another one is for, too, have that again."""
        for name in certificate.names:
            several = self._by_name.get(name, [])
            if certificate in several:
                several.remove(certificate)
                if not several:
                    del self._by_name[name]
        if self._first is certificate:
            self._first = None

    def find(self, hello: ClientHello, local_address: str = "") -> LoadedCertificate | None:
        """Return the certificate for a client; `local_address`: that it has connected to. None: there is none yet."""
        if hello.protocols == _OF_ACME:
            return None  # it has to be looked for
        found = self.named(hello.server_name or local_address)
        return self._first if found is None and self.source is None else found

    def named(self, name: str) -> LoadedCertificate | None:
        """Return the certificate for a host's name or an address, if there is one (RFC 6125 section 6.4.3)."""
        found = self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
        return found[-1] if found else None

    async def wait_for(self, hello: ClientHello, local_address: str = "") -> LoadedCertificate | None:
        """Return the certificate for a client as soon as there is one; None: there will be none."""
        if self.source is not None and hello.protocols == _OF_ACME:
            return await self.source.wait_challenge(hello.server_name)
        if self.source is not None:
            future = self.source.wanted(hello.server_name or local_address)
            if future is not None:
                await future
        return self.find(hello, local_address) or (None if hello.server_name else self._first)


SOON = timedelta(days=7)
"""How long before its end a certificate is said to end, if that is less than a tenth of its life."""


def doubtful_dates(facts: CertificateFacts, now: datetime) -> tuple[str, bool]:
    """Return what is wrong with the dates of a certificate, and whether clients refuse it now; empty: nothing."""
    if now < facts.not_before:
        return f"holds only from {_date(facts.not_before)} on: clients refuse it. Is the clock right?", True
    if now >= facts.not_after:
        return f"ended {_date(facts.not_after)}: clients refuse it", True
    if facts.not_after - now < min(SOON, (facts.not_after - facts.not_before) / 10):
        return f"ends {_date(facts.not_after)}, and is not renewed yet", False
    return "", False


def _date(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the files of a certificate has found: their state, and what they hold, or why they can't be used.

    `loaded` and `trouble` are both empty where nothing has changed.
    """

    files: CertificateFiles
    state: object
    loaded: LoadedCertificate | None = None
    trouble: str = ""


class FileCertificates:
    """The certificates that come from files, and are read again when these change, or the file with clients' CAs does.

    Args:
        told: called with a text when a changed file can't be used, and with an empty one when it is used.
    """

    def __init__(
        self,
        certificates: Certificates,
        files: Iterable[CertificateFiles],
        told: Callable[[CertificateFiles, str], None],
    ) -> None:
        self._certificates = certificates
        self._told = told
        self._used: dict[CertificateFiles, LoadedCertificate] = {}
        self._seen: dict[CertificateFiles, Looked] = {}
        self._told_of: dict[CertificateFiles, str] = {}  # the trouble that was told
        self._dates_told: set[tuple[str, str]] = set()
        for each in files:
            state = self._state(each)
            loaded = self._used[each] = load(each, certificates.options)
            self._seen[each] = Looked(each, state)
            certificates.add(loaded)

    def look(self) -> list[Looked]:
        """Look at the files, and read those that have changed. May be called in a thread; it changes nothing."""
        return [self._look(files, seen) for files, seen in self._seen.items()]

    def take(self, found: Iterable[Looked]) -> None:
        """Use what was found. What can't be used changes nothing, and is told when it stays so.

        Certificate and key are two files, which nobody can replace in one moment: a pair that does not match is looked
        at once more before it is told.
        """
        for each in found:
            before = self._seen[each.files]
            if each.loaded is not None:
                self._certificates.add(each.loaded, self._used[each.files])
                self._used[each.files] = each.loaded
                self._told(each.files, "")
            elif each.trouble and each.trouble == before.trouble and each.state == before.state:
                self._tell_once(each)
            self._seen[each.files] = each
            if not each.trouble:
                self._told_of.pop(each.files, None)

    def dates(self, now: datetime) -> list[tuple[str, bool]]:
        """Return what clients will not like about the dates of certificates, once for each; true: it is so already."""
        found = []
        for files, loaded in self._used.items():
            text, already = doubtful_dates(loaded.facts, now)
            if text and (loaded.facts.pem, text) not in self._dates_told:
                self._dates_told.add((loaded.facts.pem, text))
                found.append((f"The certificate {files.certificate} {text}", already))
        return found

    def status(self, now: datetime) -> list[dict[str, Any]]:
        """Return what is known of each certificate, for people and as JSON, as of those that are obtained."""
        return [self._status(files, loaded, now) for files, loaded in self._used.items()]

    def _status(self, files: CertificateFiles, loaded: LoadedCertificate, now: datetime) -> dict[str, Any]:
        text, already = doubtful_dates(loaded.facts, now)
        fault = self._told_of.get(files) or (text if already else None)
        return {
            "name": ", ".join(loaded.names) or files.certificate,
            "state": "failed" if fault else "file",
            "issuer": None,
            "directory": None,
            "not_before": _date(loaded.facts.not_before),
            "not_after": _date(loaded.facts.not_after),
            "next": None,
            "failed_attempts": 0,
            "fault": fault,
        }

    def _look(self, files: CertificateFiles, seen: Looked) -> Looked:
        state = self._state(files)
        if state == seen.state and not seen.trouble:
            return Looked(files, state)
        try:
            return Looked(files, state, load(files, self._certificates.options))
        except ConfigError as error:
            return Looked(files, state, trouble=str(error))

    def _tell_once(self, looked: Looked) -> None:
        if self._told_of.get(looked.files) != looked.trouble:
            self._told_of[looked.files] = looked.trouble
            self._told(looked.files, looked.trouble)

    def _state(self, files: CertificateFiles) -> object:
        try:
            return files.state(), file_state(self._certificates.options.client_ca)
        except OSError:
            return None
