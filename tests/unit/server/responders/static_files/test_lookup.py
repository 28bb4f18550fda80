"""server.responders.static_files.lookup, and files: what is found on a disk, and what is not."""

import errno
import os
import socket
import threading
from time import time_ns

import pytest
from aged_files import write_aged
from open_files import open_below

from snakepit.config.static import StaticFiles
from snakepit.server.responders.static_files import files
from snakepit.server.responders.static_files.found import FoundFile, Missing, Moved, Refused
from snakepit.server.responders.static_files.lookup import KEPT_IN_MEMORY, Lookup
from snakepit.server.responders.static_files.names import read_path

NEEDS_LINKS = pytest.mark.skipif(os.name == "nt", reason="symbolic links need a right there")


@pytest.fixture(params=[True, False], ids=["descriptors", "paths"])
def how(request, monkeypatch):
    """Both ways to open what is in a folder."""
    if request.param and not files.BY_DESCRIPTOR:
        pytest.skip("this system has no such folders")
    monkeypatch.setattr(files, "BY_DESCRIPTOR", request.param)


class Place:
    """A folder to serve, and what lies beside it."""

    def __init__(self, folder):
        self.outside = folder / "secret.txt"
        self.outside.write_text("secret")
        self.public = folder / "public"
        self.public.mkdir()

    def write(self, name, content=b"content", age=60):
        return write_aged(self.public / name, content, age)

    def find(self, path, codings=(), known=None, **values):
        site = StaticFiles(route="/static", dir=str(self.public), **values)
        return Lookup(site).find(read_path(path), codings, known)


@pytest.fixture
def place(tmp_path, how):
    yield Place(tmp_path)
    assert open_below(tmp_path) == [], "all is closed again"


def test_a_small_file(place):
    place.write("a/b.css", b"x" * 100)
    found = place.find(b"a/b.css", cache_control="no-cache", precompressed=False)
    assert (found.content, found.size, found.file) == (b"x" * 100, 100, None)
    lines, _, length = found.whole
    assert length == 100
    assert lines.split(b"\r\n")[:2] == [b"content-type: text/css; charset=utf-8", b"cache-control: no-cache"]
    assert b"vary" not in lines
    assert b"accept-ranges: bytes\r\n" in found.shared
    assert found.unchanged[0].startswith(b"cache-control: no-cache\r\netag: ")


def test_a_large_file_stays_open(place):
    place.write("big", b"x" * (KEPT_IN_MEMORY + 1))
    found = place.find(b"big")
    assert (found.content, found.size) == (None, KEPT_IN_MEMORY + 1)
    assert found.file.read(KEPT_IN_MEMORY - 1, 10) == b"xx"
    assert found.file.read(found.size, 10) == b""
    found.file.share()
    assert (found.file.release(), found.file.release()) == (False, True)
    found.file.close()


def test_a_place_in_a_file_where_the_system_reads_only_from_where_it_is(place, monkeypatch):
    monkeypatch.delattr(os, "pread")
    place.write("big", bytes(range(256)) * 1024)
    found = place.find(b"big")
    assert found.file.read(256, 3) == bytes(range(3))
    assert found.file.read(5, 2) == b"\x05\x06"
    found.file.close()


def test_the_tag_says_what_is_in_it(place):
    place.write("a", b"one")
    first = place.find(b"a").tag
    place.write("a", b"two")  # of the same length and date
    assert place.find(b"a").tag != first
    place.write("a", b"one", age=3)
    assert place.find(b"a").tag == first
    assert first.startswith(b'"')


def test_what_has_not_changed_is_not_read_again(place, monkeypatch):
    place.write("a", b"one")
    known = place.find(b"a")
    assert place.find(b"a", known=known) is known
    place.write("a", b"two")
    again = place.find(b"a", known=known)
    assert (again.content, again.tag != known.tag) == (b"two", True)


def test_what_changed_just_now_is_read_again(place):
    place.write("a", b"one", age=0)
    known = place.find(b"a")
    assert known.identity == ()
    assert place.find(b"a", known=known) is not known


def test_a_date_in_the_future_is_not_told(place):
    place.write("a", age=-3600)
    assert place.find(b"a").modified <= time_ns() // 10**9


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        (b"x", ("x",)),
        (b"x/y/z", ("x",)),
        (b"a/x", ("a", "x")),
        (b"a/x/", ("a", "x")),
        (b"a/b.css/c", ()),
        (b"a/b.css/", ()),
    ],
)
def test_what_is_missing(place, path, prefix):
    place.write("a/b.css")
    found = place.find(path)
    assert isinstance(found, Missing)
    assert found.prefix in (prefix, ())


def test_folders(place):
    place.write("with/index.html", b"<p>")
    place.write("with/a.css")
    place.write("without/a.css")
    assert place.find(b"with/").content == b"<p>"
    assert place.find(b"with") == Moved()
    assert place.find(b"without/") == Missing()
    assert place.find(b"without") == Missing()
    assert place.find(b"with/", index="") == Missing()
    assert place.find(b"with", index="") == Missing()
    assert place.find(b"with/", index="a.css").content == b"content"


def test_a_list(place):
    place.write("a/index.html")
    place.write("b/<i>.txt")
    place.write("b/c/d")
    assert b"<ul>" not in place.find(b"a/", listing=True).content
    found = place.find(b"b/", listing=True)
    assert b"&lt;i&gt;.txt" in found.content
    assert b"<h1>/static/b/</h1>" in found.content
    assert found.tag == b""
    assert b"last-modified" not in found.whole[0]
    assert place.find(b"b", listing=True) == Moved()
    assert b'href="../"' not in place.find(b"", listing=True).content


@NEEDS_LINKS
@pytest.mark.parametrize("path", [b"link", b"folder/secret.txt", b"folder/public/a", b"relative", b"inside", b"page/"])
def test_symbolic_links_lead_nowhere(place, path):
    links(place)
    assert isinstance(place.find(path), Missing)


@NEEDS_LINKS
@pytest.mark.parametrize("path", [b"link", b"folder/secret.txt", b"relative"])
def test_symbolic_links_that_are_followed(place, path):
    links(place)
    assert place.find(path, symlinks=True).content == b"secret"


@NEEDS_LINKS
def test_a_link_is_not_listed_unless_it_is_followed(place):
    links(place)
    assert b"./link" not in place.find(b"", listing=True).content
    assert b"./link" in place.find(b"", listing=True, symlinks=True).content


def links(place):
    place.write("a")
    (place.public / "link").symlink_to(place.outside)
    (place.public / "folder").symlink_to(place.outside.parent)
    (place.public / "relative").symlink_to("../secret.txt")
    (place.public / "inside").symlink_to("a")
    (place.public / "gone").symlink_to("nowhere")
    (place.public / "page").mkdir()
    (place.public / "page" / "index.html").symlink_to(place.outside)


@NEEDS_LINKS
def test_the_folder_itself_may_be_a_link(tmp_path, how):
    place = Place(tmp_path)
    place.write("a")
    (tmp_path / "current").symlink_to(place.public)
    site = StaticFiles(route="/", dir=str(tmp_path / "current"))
    assert Lookup(site).find(read_path(b"a"), ()).content == b"content"


@pytest.mark.skipif(os.name == "nt", reason="there are none")
def test_what_is_no_file_is_not_waited_for(place):
    os.mkfifo(place.public / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(place.public)  # such a path has to be short
        try:
            sock.bind("sock")
        finally:
            os.chdir(here)
        assert isinstance(place.find(b"pipe"), Missing)
        assert isinstance(place.find(b"sock"), Missing)


def test_files_that_were_compressed_beforehand(place):
    place.write("a.css", b"original")
    place.write("a.css.gz", b"gz")
    place.write("a.css.br", b"br")
    for codings, content, coding in [
        (("br", "gzip"), b"br", b"br"),
        (("gzip", "br"), b"gz", b"gzip"),
        (("zstd", "gzip"), b"gz", b"gzip"),
        (("zstd",), b"original", b""),
        ((), b"original", b""),
    ]:
        found = place.find(b"a.css", codings)
        assert found.content == content
        assert b"content-type: text/css" in found.whole[0]
        assert b"vary: accept-encoding" in found.whole[0]
        assert (b"content-encoding: " + coding in found.whole[0]) is bool(coding)
        assert found.tag.endswith(b"-" + coding + b'"') is bool(coding)


def test_one_that_is_older_than_its_original_is_not_sent(place):
    place.write("a.css", b"new", age=60)
    place.write("a.css.gz", b"old", age=61)
    assert place.find(b"a.css", ("gzip",)).content == b"new"


def test_one_without_an_original_is_not_sent(place):
    place.write("a.css.gz")
    assert isinstance(place.find(b"a.css", ("gzip",)), Missing)


def test_a_compressed_file_that_changes_is_noticed(place):
    place.write("a.css", b"original")
    place.write("a.css.gz", b"one")
    known = place.find(b"a.css", ("gzip",))
    assert place.find(b"a.css", ("gzip",), known) is known
    place.write("a.css.gz", b"two")
    assert place.find(b"a.css", ("gzip",), known).content == b"two"
    place.write("a.css", b"original 2", age=3)
    assert place.find(b"a.css", ("gzip",), known).content == b"original 2"


@pytest.mark.parametrize(
    ("number", "status", "text"),
    [
        (errno.EMFILE, 503, "No descriptors left to open a"),
        (errno.ENFILE, 503, "No descriptors left to open a"),
        (errno.EACCES, 403, "a can't be read"),
        (errno.EIO, 500, "a can't be read"),
    ],
)
def test_troubles_are_logged_once(place, monkeypatch, caplog, number, status, text):
    place.write("a")
    real = os.open

    def fails(path, *arguments, **options):
        if str(path).endswith("a"):
            raise OSError(number, os.strerror(number))
        return real(path, *arguments, **options)

    search = Lookup(StaticFiles(route="/", dir=str(place.public)))
    monkeypatch.setattr(files.os, "open", fails)
    for _ in range(3):
        found = search.find(read_path(b"a"), ())
        assert isinstance(found, Refused)
        assert found.status == status
    [record] = caplog.records
    assert f"{place.public}: {text}" in record.getMessage()


def test_a_file_that_grows_while_it_is_read(place, monkeypatch):
    path = place.write("a", b"one")
    real = files.OpenFile.read
    grown = []

    def read(self, offset, size):
        content = real(self, offset, size)
        if len(grown) < 2:
            grown.append(path.write_bytes(b"x" * (10 + len(grown))))
        return content

    monkeypatch.setattr(files.OpenFile, "read", read)
    found = place.find(b"a")
    assert (found.content, found.whole[2], found.identity) == (b"x" * 11, 11, ())


def test_a_file_that_never_rests(place, monkeypatch):
    path = place.write("a", b"one")
    real = files.OpenFile.read

    def read(self, offset, size):
        content = real(self, offset, size)
        path.write_bytes(b"x" * (size + 1))
        return content

    monkeypatch.setattr(files.OpenFile, "read", read)
    found = place.find(b"a")
    assert len(found.content) == found.whole[2] == found.size


@NEEDS_LINKS
def test_nobody_gets_out_by_exchanging_a_folder_for_a_link(place):
    """A name may be exchanged at any moment between two system calls."""
    place.write("d/secret.txt", b"mine")
    link = place.public / "link"
    link.symlink_to(place.outside.parent)
    there, over = place.public / "d", threading.Event()

    def exchange():
        while not over.is_set():
            os.rename(there, place.public / "away")
            os.rename(link, there)
            os.rename(there, link)
            os.rename(place.public / "away", there)

    thread = threading.Thread(target=exchange)
    thread.start()
    try:
        found = [place.find(b"d/secret.txt") for _ in range(500)]
    finally:
        over.set()
        thread.join()
    contents = {each.content for each in found if isinstance(each, FoundFile)}
    if files.BY_DESCRIPTOR:  # a path is looked at twice, which can't be as safe
        assert contents <= {b"mine"}
