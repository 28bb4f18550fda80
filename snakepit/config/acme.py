"""Options for automatic HTTPS: `--domain`, and where its certificates come from."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from snakepit.acme import names
from snakepit.config.listening import ListenOptions
from snakepit.config.option import option
from snakepit.errors import ConfigError
from snakepit.system.working_directory import absolute

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
"""The directory of Let's Encrypt, the one public CA that needs neither an account elsewhere nor a payment."""

HTTP_PORT, HTTPS_PORT = 80, 443
"""The ports that browsers use, and that public CAs connect to (RFC 8555 section 8.3, RFC 8737 section 3)."""


def _separate(domains: Sequence[str]) -> list[str]:
    return [each for domain in domains for each in domain.replace(",", " ").split()]


def _check_domains(domains: Sequence[str]) -> None:
    if domains and not _separate(domains):
        raise ConfigError("domain is empty: leave it out, or name one")
    for domain in _separate(domains):
        try:
            names.canonical(domain)
        except ValueError as error:
            raise ConfigError(f"domain {domain!r} can't be used: {error}") from None


def _check_mail(mail: str) -> None:
    name, at, domain = mail.rpartition("@")
    if not (name and at and domain) or not mail.isascii() or not mail.isprintable() or set(mail) & set(' ,?"'):
        raise ConfigError(f"acme_email must be one e-mail address, not {mail!r}")


def _check_directories(urls: Sequence[str]) -> None:
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or not url.isascii() or not url.isprintable() or " " in url:
            raise ConfigError(f"acme_directory must be the https URL of a CA's directory, not {url!r}")


def _check_external(accounts: Sequence[str]) -> None:
    for account in accounts:
        identifier, colon, key = account.partition(":")
        if account and not (identifier and colon and key):
            raise ConfigError("acme_eab must be KID:KEY, as the CA gives them")


def _check_ask(url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ConfigError(f"acme_ask must be a URL, not {url!r}")


def _host_of(domains: Sequence[str]) -> str:
    """Return where to listen for clients of these domains: only this machine's reach `localhost`."""
    addresses = [names.address(each) for each in domains]
    if any(not names.is_local(each) for each in domains) or any(one and not one.is_loopback for one in addresses):
        return ""
    if not any(one and one.version == 6 for one in addresses):
        return "127.0.0.1"
    return "localhost" if len(domains) > 1 else "::1"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeOptions(ListenOptions):
    """The options for automatic HTTPS."""

    domain: tuple[str, ...] = option(
        (), "Speak HTTPS for this domain, with a certificate that is obtained and renewed automatically, on ports 443 "
        "and 80, unless --port says otherwise; may be given several times. localhost and IP addresses get one of a CA "
        "of your own.",
        metavar="NAME", separator=",", form=_check_domains,
    )  # fmt: skip
    acme_email: str | None = option(
        None, "Your e-mail address, for the CA.", metavar="ADDRESS", form=_check_mail
    )  # fmt: skip
    acme_directory: tuple[str, ...] = option(
        (LETS_ENCRYPT,), "The directory of the CA (ACME, RFC 8555); may be given several times: where the first CA "
        "fails, the next one is asked.",
        metavar="URL", separator=",", shown="Let's Encrypt", form=_check_directories,
    )  # fmt: skip
    acme_eab: tuple[str, ...] = option(
        (), "The account that a CA for its customers gives you (external account binding); the first is for the first "
        "--acme-directory, and so on.",
        metavar="KID:KEY", separator=",", secret=True, form=_check_external,
    )  # fmt: skip
    acme_ca_certs: str | None = option(
        None, "CAs to trust when speaking to a private CA's own server, a PEM file.", metavar="FILE", path=True,
        shown="those that the system trusts",
    )  # fmt: skip
    acme_folder: str | None = option(
        None, "Keep accounts, certificates and keys in this folder, which several servers may share.", metavar="DIR",
        path=True, shown="snakepit/acme in the user's folder for state",
    )  # fmt: skip
    acme_ask: str | None = option(
        None, "Also obtain certificates for other names, when they are first asked for, if this URL, with ?domain=NAME "
        "added, answers with status 200.",
        metavar="URL", form=_check_ask,
    )  # fmt: skip
    acme_rate: int = option(
        10, "Certificates that may be obtained in a minute for names of --acme-ask and of routes with placeholders.",
        least=1,
    )  # fmt: skip

    def _check_acme(self) -> None:
        """Give the domains their one form, and say where to listen, as far as no option does. Raises ConfigError."""
        domains = tuple(dict.fromkeys(names.canonical(each) for each in _separate(self.domain)))
        object.__setattr__(self, "domain", domains)
        for name in ("acme_email", "acme_eab", "acme_ca_certs", "acme_folder", "acme_ask"):
            if getattr(self, name) and not domains:
                raise ConfigError(f"{name} needs a domain", (name,))
        if len(self.acme_eab) > len(self.acme_directory):
            raise ConfigError("there are more acme_eab than acme_directory", ("acme_eab", "acme_directory"))
        for name in ("acme_ca_certs", "acme_folder"):  # the app may change the working directory
            path = getattr(self, name)
            if path is not None:
                object.__setattr__(self, name, absolute(path))

        if self.host is None:
            object.__setattr__(self, "host", _host_of(domains))
        if self.port is None:
            object.__setattr__(self, "port", HTTPS_PORT if domains else 8000)
