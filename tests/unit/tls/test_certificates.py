"""tls.certificates: which certificate a client gets, and what becomes of files that change."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from tls_peers import new_ca

from snakepit.errors import ConfigError
from snakepit.tls.certificates import Certificates, FileCertificates, doubtful_dates
from snakepit.tls.client_hello import ClientHello
from snakepit.tls.contexts import ACME_PROTOCOL, CertificateFiles, LoadedCertificate, TlsOptions, load
from snakepit.tls.x509 import CertificateFacts

ACME = (ACME_PROTOCOL.encode(),)


def certificate(*names):
    """Make one that can only be chosen."""
    options = TlsOptions()
    return LoadedCertificate(names, options.new_context(), CertificateFacts(names, None, None, ""))


def of(*several, source=None):
    found = Certificates(TlsOptions(), source)
    for each in several:
        found.add(each)
    return found


FIRST, EXACT, WILD = certificate("first.test"), certificate("www.example.com"), certificate("*.example.com")
ADDRESS = certificate("10.0.0.1", "::1")


@pytest.mark.parametrize(
    ("name", "local", "expected"),
    [
        ("first.test", "", FIRST),
        ("www.example.com", "", EXACT),
        ("api.example.com", "", WILD),
        ("a.b.example.com", "", FIRST),
        ("example.com", "", FIRST),
        ("unknown.test", "10.0.0.1", FIRST),
        ("", "10.0.0.1", ADDRESS),
        ("", "::1", ADDRESS),
        ("", "10.0.0.2", FIRST),
        ("10.0.0.1", "", ADDRESS),
        ("", "", FIRST),
    ],
)
def test_the_choice_by_name(name, local, expected):
    assert of(FIRST, EXACT, WILD, ADDRESS).find(ClientHello(name), local) is expected


def test_none_at_all():
    found = of()
    assert not found
    assert found.all == []
    assert found.find(ClientHello("a.test")) is None
    assert found.named("a.test") is None


def test_all_of_them():
    found = of(FIRST, EXACT, WILD, ADDRESS, certificate())
    assert found
    assert found.all == [FIRST, EXACT, WILD, ADDRESS]


def test_one_in_the_place_of_another():
    found = of(FIRST, EXACT)
    new = certificate("first.test", "more.test")
    found.add(new, FIRST)
    assert found.find(ClientHello("first.test")) is found.find(ClientHello("more.test")) is new
    assert found.find(ClientHello()) is new
    found.add(FIRST, new)
    assert found.named("more.test") is None
    assert found.all == [FIRST, EXACT]


def test_two_for_one_name():
    """The one that came last, also once the other was read again; and the other, when that one is for it no more."""
    one, other = certificate("a.test", "both.test"), certificate("b.test", "both.test")
    found = of(one, other)
    assert found.named("both.test") is other
    new = certificate("a.test", "both.test")
    found.add(new, one)
    assert found.named("both.test") is other
    found.add(certificate("b.test"), other)
    assert found.named("both.test") is new
    found.remove(new)
    assert found.named("both.test") is None
    found.remove(new)
    assert [each.names for each in found.all] == [("b.test",)]


def test_what_a_ca_is_shown():
    """Never what others are shown."""
    found = of(FIRST)
    assert found.find(ClientHello("first.test", ACME)) is None
    assert found.find(ClientHello("first.test", (*ACME, b"http/1.1"))) is FIRST


class Source:
    """Makes certificates for names of its own."""

    def __init__(self, *names):
        self.futures = {name: asyncio.get_running_loop().create_future() for name in names}
        self.asked = []

    def wanted(self, name):
        self.asked.append(name)
        return self.futures.get(name)

    async def wait_challenge(self, name):
        return WILD if name == "new.test" else None


def test_one_that_has_to_be_made():
    async def main():
        source = Source("new.test", "fails.test")
        found = of(FIRST, source=source)
        hello = ClientHello("new.test")
        assert found.find(hello) is None
        waiting = asyncio.create_task(found.wait_for(hello))
        await asyncio.sleep(0)
        new = certificate("new.test")
        found.add(new)
        source.futures["new.test"].set_result(None)
        assert await waiting is new
        source.futures["fails.test"].set_result(None)
        assert await found.wait_for(ClientHello("fails.test")) is None
        assert await found.wait_for(ClientHello("unknown.test")) is None
        assert await found.wait_for(ClientHello(), "10.0.0.1") is FIRST
        assert source.asked == ["new.test", "fails.test", "unknown.test", "10.0.0.1"]
        assert await found.wait_for(ClientHello("fails.test", ACME)) is None
        assert await found.wait_for(ClientHello("new.test", ACME)) is WILD
        assert len(source.asked) == 4

    asyncio.run(main())


def test_waiting_without_a_source():
    assert asyncio.run(of(FIRST).wait_for(ClientHello("unknown.test", ACME))) is None
    assert asyncio.run(of(FIRST).wait_for(ClientHello("unknown.test"))) is FIRST


class Files:
    """Two certificates in files, and what was told of them."""

    def __init__(self, certificates, folder):
        self.made = certificates
        self.folder = folder
        self.told = []
        self.paths = {}
        self.of = {}
        for name in ("one", "two"):
            self.save(name, certificates.server(f"{name}.test"))
            self.of[name] = CertificateFiles(*self.paths[name])
        self.certificates = Certificates(TlsOptions())
        tell = lambda files, trouble: self.told.append((self.name(files), trouble))  # noqa: E731
        self.files = FileCertificates(self.certificates, self.of.values(), tell)

    def name(self, files):
        return next(name for name, each in self.of.items() if each == files)

    def save(self, name, certificate):
        """Replace both files."""
        new = certificate.write(self.folder, f"new-{name}")
        self.paths[name] = [str(self.folder / f"{name}.{kind}") for kind in ("pem", "key")]
        for source, place in zip(new, self.paths[name], strict=True):
            (self.folder / source).replace(place)

    def look(self):
        self.files.take(self.files.look())

    def shown(self, name):
        return self.certificates.find(ClientHello(name)).facts.pem


@pytest.fixture
def files(certificates, tmp_path):
    return Files(certificates, tmp_path)


def test_files_that_stay_as_they_are(files):
    before = files.certificates.all
    for _ in range(3):
        files.look()
    assert files.certificates.all == before
    assert files.told == []
    assert files.shown("one.test") == files.made.server("one.test").pem
    assert files.shown("two.test") == files.made.server("two.test").pem
    assert files.shown("other.test") == files.made.server("one.test").pem


def test_a_new_certificate(files):
    files.look()
    new = files.made.ca.issue("one.test", "more.test")
    files.save("one", new)
    files.look()
    files.look()
    assert files.shown("one.test") == files.shown("more.test") == files.shown("other.test") == new.pem
    assert files.shown("two.test") == files.made.server("two.test").pem
    assert files.told == [("one", "")]


def test_half_of_a_pair(files):
    """Between the two files' replacement there is a moment in which they don't match: nobody is told of that."""
    new = files.made.ca.issue("two.test")
    old = files.shown("two.test")
    certificate, key = new.write(files.folder, "new-two")
    (files.folder / certificate).replace(files.paths["two"][0])
    files.look()
    assert files.shown("two.test") == old
    (files.folder / key).replace(files.paths["two"][1])
    files.look()
    assert files.shown("two.test") == new.pem
    assert files.told == [("two", "")]


def damage_text(files):
    (files.folder / "one.pem").write_text("damaged")


def damage_key(files):
    (files.folder / "one.key").write_text("damaged")


def remove(files):
    (files.folder / "one.pem").unlink()


def swap_key(files):
    files.made.server("two.test").write(files.folder, "swapped")
    (files.folder / "swapped.key").replace(files.paths["one"][1])


@pytest.mark.parametrize("damage", [damage_text, damage_key, remove, swap_key])
def test_trouble_is_told_once(files, damage):
    old = files.shown("one.test")
    damage(files)
    files.look()
    assert files.told == []
    for _ in range(4):
        files.look()
    ((name, trouble),) = files.told
    assert name == "one"
    assert str(files.folder) in trouble
    assert files.shown("one.test") == old
    new = files.made.ca.issue("one.test")
    files.save("one", new)
    files.look()
    files.look()
    assert files.told[1:] == [("one", "")]
    assert files.shown("one.test") == new.pem
    damage(files)
    for _ in range(4):
        files.look()
    assert files.told[2:] == [("one", trouble)], "it is told again, as it was well in between"


def test_other_cas_of_clients(certificates, tmp_path):
    """The file with the CAs counts as a part of each certificate, as each has a context with them."""
    authorities = tmp_path / "clients.pem"
    authorities.write_text(certificates.ca.pem)
    known = Certificates(TlsOptions(client_certificates=ssl.CERT_REQUIRED, client_ca=str(authorities)))
    paths = certificates.server("one.test").write(tmp_path, "one")
    told = []
    files = FileCertificates(known, [CertificateFiles(*paths)], lambda files, trouble: told.append(trouble))

    def look():
        files.take(files.look())
        return len(known.named("one.test").context.get_ca_certs())

    assert (look(), told) == (1, [])
    authorities.write_text(certificates.ca.pem + new_ca("another").pem)
    assert (look(), told) == (2, [""])
    authorities.write_text("damaged")
    assert [look(), look()] == [2, 2]
    assert told[1:] == [f"ssl_ca_certs: {authorities}: no certificate or crl found"]


BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "text", "already"),
    [
        (BEGIN - timedelta(1), "holds only from 2026-01-01T00:00:00Z on: clients refuse it. Is the clock right?", True),
        (BEGIN, "", False),
        (END - timedelta(8), "", False),
        (END - timedelta(6), "ends 2026-04-01T00:00:00Z, and is not renewed yet", False),
        (END, "ended 2026-04-01T00:00:00Z: clients refuse it", True),
    ],
)
def test_dates(now, text, already):
    assert doubtful_dates(CertificateFacts((), BEGIN, END, ""), now) == (text, already)


def test_a_short_life_is_said_to_end_later():
    facts = CertificateFacts((), BEGIN, BEGIN + timedelta(6), "")
    assert doubtful_dates(facts, BEGIN + timedelta(5)) == ("", False)
    assert doubtful_dates(facts, BEGIN + timedelta(5, hours=12))[0].startswith("ends ")


def test_what_is_said_of_them(files):
    facts = files.certificates.named("one.test").facts
    one, two = files.files.status(facts.not_before)
    assert (one["name"], one["state"], one["fault"]) == ("one.test", "file", None)
    assert datetime.fromisoformat(one["not_after"]) == facts.not_after
    assert two["name"] == "two.test"
    (later, _) = files.files.status(facts.not_after)
    assert later["state"] == "failed"
    assert later["fault"].endswith(": clients refuse it")
    damage_key(files)
    files.look()
    files.look()
    (damaged, well) = files.files.status(facts.not_before)
    assert damaged["state"] == "failed"
    assert "can't be read" in damaged["fault"]
    assert well["state"] == "file"


def test_each_date_is_told_once(files):
    end = files.certificates.named("one.test").facts.not_after
    ((text, already), _) = files.files.dates(end - timedelta(minutes=1))
    assert (text.split()[:2], already) == (["The", "certificate"], False)
    assert files.files.dates(end - timedelta(minutes=1)) == []
    assert [already for _, already in files.files.dates(end + timedelta(days=40_000))] == [True, True]
    assert files.files.dates(end + timedelta(days=40_000)) == []


def test_a_file_that_comes_back_as_it_was(files):
    (files.folder / "one.pem").rename(files.folder / "away")
    for _ in range(3):
        files.look()
    assert len(files.told) == 1
    (files.folder / "away").rename(files.folder / "one.pem")
    files.look()
    assert files.told[1:] == [("one", "")]


def test_other_trouble_is_told_too(files):
    remove(files)
    for _ in range(3):
        files.look()
    damage_text(files)
    for _ in range(3):
        files.look()
    assert [name for name, _ in files.told] == ["one", "one"]
    assert files.told[0] != files.told[1]


def test_looks_that_come_in_the_wrong_order(files):
    """A slow look may end after a later one. The next one sets it right."""
    damage_text(files)
    early = files.files.look()
    new = files.made.ca.issue("one.test")
    files.save("one", new)
    files.files.take(files.files.look())
    files.files.take(early)
    files.look()
    assert files.shown("one.test") == new.pem


def test_files_that_can_not_be_used_from_the_beginning(certificates, tmp_path):
    with pytest.raises(ConfigError, match="can't be read"):
        FileCertificates(of(), [CertificateFiles(str(tmp_path / "missing.pem"))], lambda files, trouble: None)


def test_a_password_stays(certificates, tmp_path):
    paths = certificates.server().write(tmp_path, "locked", "secret")
    found = of()
    files = FileCertificates(found, [CertificateFiles(*paths, "secret")], lambda files, trouble: None)
    new = certificates.ca.issue("localhost")
    new.write(tmp_path, "locked", "secret")
    files.take(files.look())
    assert found.find(ClientHello()).facts.pem == new.pem
    assert load(CertificateFiles(*paths, "secret"), TlsOptions()).facts.pem == new.pem
