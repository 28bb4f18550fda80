"""snakepit.acme.store: what is kept in files, which several processes share and anything may damage."""

import json
import os
import stat
import sys
import threading
from dataclasses import replace

import pytest
from certificates import pem

from snakepit.acme import store as module
from snakepit.acme.keys import AccountKey
from snakepit.acme.problems import AcmeStopped
from snakepit.acme.renewal import Suggestion
from snakepit.acme.stopping import Stop
from snakepit.acme.store import STALE, Account, CertificateStore, Failure, default_folder
from snakepit.errors import ConfigError

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes of files are POSIX's")
NAME = "example.com"
DIR = "https://ca.test/dir"


@pytest.fixture
def store(tmp_path):
    return CertificateStore(tmp_path / "acme")


def test_a_certificate_comes_back(store):
    assert store.certificate(NAME) is None
    data = pem()
    stored = store.put(NAME, data, DIR, "http-01")
    assert store.certificate(NAME) == stored
    assert stored.path.read_bytes() == data
    assert (stored.details.directory, stored.details.challenge) == (DIR, "http-01")


def test_a_suggestion_comes_back(store):
    stored = store.put(NAME, pem(), DIR)
    suggestion = Suggestion(stored.chain.fingerprint, 1.0, 2.0, 1.5, 3.0, "https://ca.test/why")
    store.note(NAME, replace(stored.details, suggestion=suggestion))
    assert store.certificate(NAME).details.suggestion == suggestion


def test_details_of_another_certificate_do_not_count(store):
    first = store.put(NAME, pem(), DIR)
    store.put(NAME, pem(serial=2), DIR)
    store.note(NAME, first.details)
    assert store.certificate(NAME).details is None


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"fingerprint": 1}', '{"suggestion": 7}', "\udcff"])
def test_damaged_details_are_not_needed(store, text):
    stored = store.put(NAME, pem(), DIR)
    stored.path.with_suffix(".json").write_bytes(text.encode(errors="surrogateescape"))
    assert store.certificate(NAME) == replace(stored, details=None)


@pytest.mark.parametrize("damage", [b"", b"\0\0", b"half", pem(["other.example"])])
def test_a_damaged_certificate_is_obtained_anew(store, damage, caplog):
    stored = store.put(NAME, pem(), DIR)
    stored.path.write_bytes(damage)
    assert store.certificate(NAME) is None
    assert f"The certificate for {NAME} in {stored.path} can't be used, so it is obtained anew" in caplog.text
    assert store.put(NAME, pem(), DIR) == store.certificate(NAME)


def test_what_a_ca_issued_for_another_name_is_not_stored(store):
    stored = store.put(NAME, pem(), DIR)
    with pytest.raises(ValueError, match=r"is for other\.example"):
        store.put(NAME, pem(["other.example"]), DIR)
    assert store.certificate(NAME) == stored


def test_all_certificates(store, caplog):
    for name in (
        "b.example",
        "a.example",
        "2001:db8::1",
        "x." + "y" * 60 + "." + "z" * 60 + "." + "w" * 60 + "." + "v" * 60,
    ):
        store.put(name, pem([name]), DIR)
    (store.path / "certificates" / "damaged.example.pem").write_bytes(b"")
    assert [one.name[:9] for one in store.certificates()] == ["2001:db8:", "a.example", "b.example", "x.yyyyyyy"]
    assert "damaged.example.pem can't be used" in caplog.text
    for one in store.certificates():
        assert store.certificate(one.name) == one


def test_an_account_comes_back(store):
    assert store.account(DIR) is None
    key = AccountKey.make()
    store.put_account(DIR, Account(key, "https://ca.test/acct/1", "ops@example.com"))
    found = store.account(DIR)
    assert (found.key.public, found.url, found.contact) == (key.public, "https://ca.test/acct/1", "ops@example.com")
    assert store.account("https://ca.test/other") is None


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"key": 1}', '{"key": "x", "url": "", "contact": ""}'])
def test_a_damaged_account(store, text, caplog):
    store.put_account(DIR, Account(AccountKey.make()))
    path = next((store.path / "accounts").iterdir())
    path.write_text(text)
    assert store.account(DIR) is None
    assert f"The account in {path} can't be used, so another is made" in caplog.text


def test_failures(store):
    assert store.failure(NAME) is None
    store.put_failure(NAME, Failure("no", 5.0))
    assert store.failure(NAME) == Failure("no", 5.0)
    store.put(NAME, pem(), DIR)
    assert store.failure(NAME) is None
    for text in ("", "[]", '{"reason": "x"}', '{"reason": "x", "until": "soon"}'):
        (store.path / "certificates" / f"{NAME}.failure").write_text(text)
        assert store.failure(NAME) is None


def test_answers(store):
    assert store.answer("token") is None
    store.put_answer("token", "token.thumbprint")
    assert CertificateStore(store.path).answer("token") == "token.thumbprint"
    store.remove_answer("token")
    store.remove_answer("token")
    assert store.answer("token") is None


def test_answers_that_a_killed_process_left_are_removed(store):
    for name in ("old", "new"):
        store.put_answer(name, "x")
    path = store.path / "challenges" / "old"
    left = store.path / "certificates" / ".abc.new"
    left.write_bytes(b"")
    for one in (path, left):
        before = one.stat().st_mtime - STALE - 1
        os.utime(one, (before, before))
    CertificateStore(store.path)
    assert (path.exists(), left.exists(), store.answer("new")) == (False, False, "x")


@POSIX
def test_all_of_it_is_secret(store):
    before = os.umask(0)
    try:
        other = CertificateStore(store.path.with_name("other"))
        other.put(NAME, pem(), DIR)
        other.put_account(DIR, Account(AccountKey.make()))
        other.put_answer("token", "x")
        with other.locked(NAME, Stop()):
            pass
    finally:
        os.umask(before)
    paths = [other.path, *other.path.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    assert len([path for path in paths if path.is_file()]) == 5


@POSIX
@pytest.mark.parametrize("what", ["open", "link", "file"])
def test_a_folder_that_is_not_safe(tmp_path, what):
    path = tmp_path / "acme"
    if what == "open":
        path.mkdir()
        path.chmod(0o755)
    elif what == "link":
        (tmp_path / "other").mkdir(0o700)
        path.symlink_to(tmp_path / "other")
    else:
        path.write_text("")
    with pytest.raises(ConfigError, match="certificates can't be stored: "):
        CertificateStore(path)


def test_one_at_a_time_and_a_stop_ends_the_waiting(store):
    stop = Stop()
    waited = threading.Event()

    class Noting(Stop):
        def wait(self, seconds):
            waited.set()
            stop.wait(60)

    ended = []

    def wait():
        with pytest.raises(AcmeStopped), store.locked(NAME, Noting()):
            raise AssertionError
        ended.append(True)

    with store.locked(NAME, stop) as had_to_wait, store.locked("other.example", stop):
        assert not had_to_wait
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert waited.wait(60)
        stop.set()
        thread.join()
    assert ended


def test_who_had_to_wait_knows_that(store):
    second = threading.Event()
    release = threading.Event()

    class Noting(Stop):
        def wait(self, seconds):
            second.set()
            release.wait(60)

    found = []

    def wait():
        with store.locked(NAME, Noting()) as waited:
            found.append(waited)

    thread = threading.Thread(target=wait, daemon=True)
    with store.locked(NAME, Stop()):
        thread.start()
        assert second.wait(60)
    release.set()
    thread.join()
    assert found == [True]


@pytest.mark.parametrize(
    ("platform", "variables", "wanted"),
    [
        ("linux", {"XDG_STATE_HOME": "/state"}, "/state/snakepit/acme"),
        ("linux", {}, "/home/me/.local/state/snakepit/acme"),
        ("linux", {"XDG_STATE_HOME": "relative"}, "/home/me/.local/state/snakepit/acme"),
        ("darwin", {"XDG_STATE_HOME": "/state"}, "/home/me/Library/Application Support/snakepit/acme"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/snakepit/acme"),
    ],
)
@POSIX
def test_where_it_is(monkeypatch, platform, variables, wanted):
    for name in ("XDG_STATE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(module.sys, "platform", platform)
    assert str(default_folder()) == wanted


def test_windows_without_its_variable(monkeypatch):
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(module.sys, "platform", "win32")
    with pytest.raises(ConfigError, match="LOCALAPPDATA is not set"):
        default_folder()


def test_an_account_s_file_names_its_ca(store):
    store.put_account("https://acme.example:14000/dir", Account(AccountKey.make()))
    path = next((store.path / "accounts").iterdir())
    assert path.name.startswith("acme.example-")
    assert json.loads(path.read_text())["directory"] == "https://acme.example:14000/dir"
