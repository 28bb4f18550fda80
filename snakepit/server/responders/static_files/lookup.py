"""Looks for files on the disk: all of this runs in threads, and may wait for the disk."""

import errno
import hashlib
import logging
import time
from typing import TYPE_CHECKING

from snakepit.server.responders.static_files.codings import ENDS
from snakepit.server.responders.static_files.content_types import content_type
from snakepit.server.responders.static_files.files import Folder, Identity, OpenFile, identity, open_folder
from snakepit.server.responders.static_files.found import RACY_NS, Found, FoundFile, Missing, Moved, Refused, make_found
from snakepit.server.responders.static_files.listing import MOST_ENTRIES, page

if TYPE_CHECKING:
    from snakepit.config.static import StaticFiles
    from snakepit.server.responders.static_files.names import Names

KEPT_IN_MEMORY = 128 * 1024
"""Bytes; a file up to this size is read at once, and kept. Larger ones stay in the system's cache."""

_TRIES = 3  # to read a file that does not change meanwhile

_MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.ENODEV}
    | {errno.EILSEQ, errno.EMLINK, errno.EOPNOTSUPP}  # EMLINK: what FreeBSD says of a symbolic link
)
_NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class Lookup:
    """The files of one route."""

    def __init__(self, site: "StaticFiles") -> None:
        self._site = site
        self._log = logging.getLogger("snakepit.server")
        self._logged = -1.0  # when a trouble was logged last

    def find(self, asked: "Names", codings: tuple[str, ...], known: FoundFile | None = None) -> Found:
        """Look for a file, or the index or the list of a folder.

        Args:
            codings: those in which it may be compressed, the best first.
            known: what was found before; returned if it has not changed.
        """
        try:
            folder = self._walk(asked.names if asked.folder else asked.names[:-1])
            if isinstance(folder, Missing):
                return folder
            try:
                if not asked.names and not asked.folder:
                    return self._without_slash(folder)
                if asked.folder:
                    return self._in_folder(folder, asked.names, codings, known)
                try:
                    return self._file(folder, asked.names[-1], codings, known)
                except IsADirectoryError:
                    below = folder.descend(asked.names[-1])
                    try:
                        return self._without_slash(below)
                    finally:
                        below.close()
            finally:
                folder.close()
        except FileNotFoundError:
            return Missing(() if asked.folder else asked.names)
        except OSError as error:
            return self._trouble(error, asked.names)

    def _walk(self, names: tuple[str, ...]) -> Folder | Missing:
        """Open the folder at the end of these names."""
        folder = open_folder(self._site.dir, self._site.symlinks)
        for count, name in enumerate(names, 1):
            try:
                below = folder.descend(name)
            except FileNotFoundError:
                return Missing(names[:count])
            finally:
                folder.close()
            folder = below
        return folder

    def _in_folder(
        self, folder: Folder, names: tuple[str, ...], codings: tuple[str, ...], known: FoundFile | None
    ) -> Found:
        if self._site.index:
            try:
                return self._file(folder, self._site.index, codings, known)
            except OSError as error:
                if not _is_missing(error):
                    raise
        return self._list(folder, names) if self._site.listing else Missing()

    def _without_slash(self, folder: Folder) -> Found:
        """Say what a folder is without the slash at its end: a redirect, if it has something to show."""
        if self._site.listing:
            return Moved()
        if self._site.index:
            try:
                folder.open(self._site.index).close()
                return Moved()
            except OSError as error:
                if not _is_missing(error):
                    raise
        return Missing()

    def _list(self, folder: Folder, names: tuple[str, ...]) -> FoundFile:
        entries = folder.entries(MOST_ENTRIES)
        title = "/".join((self._site.route.rstrip("/"), *names, ""))
        content = page(title, entries, top=not names, complete=len(entries) < MOST_ENTRIES)
        kind = content_type("index.html")
        return make_found(kind, len(content), b"", 0, "", self._site.cache_control, False, content, None, ())

    def _file(self, folder: Folder, name: str, codings: tuple[str, ...], known: FoundFile | None) -> FoundFile:
        """Open a file, or what it was compressed to."""
        file = original = folder.open(name)
        try:
            status = original.status()
            coding = ""
            for candidate in codings:
                compressed = _open_compressed(folder, name + ENDS[candidate], status.st_mtime_ns)
                if compressed is not None:
                    file, coding = compressed, candidate
                    break
            identities = (identity(status), identity(file.status()))
            if known is not None and known.identity == identities:
                found = known
            else:
                found = self._make(file, name, coding, identities)
        except BaseException:
            _close(file, original)
            raise
        _close(*({file, original} - {found.file}))
        return found

    def _make(self, file: OpenFile, name: str, coding: str, identities: tuple[Identity, ...]) -> FoundFile:
        site = self._site
        now = identities[-1]
        content, settled = None, False
        for _ in range(_TRIES):
            if now.size > KEPT_IN_MEMORY:
                content = None
                break
            read_at = time.time_ns()
            content = file.read(0, now.size)
            before, now = now, identity(file.status())
            if now == before:
                settled = now == identities[-1] and read_at - now.modified_ns >= RACY_NS
                break
        size = now.size if content is None else len(content)
        return make_found(
            content_type(name),
            size,
            _tag(content, now.modified_ns, size, coding),
            # never after the answer (RFC 9110 section 8.8.2.1)
            max(0, min(now.modified_ns // 10**9, int(time.time()))),
            coding,
            site.cache_control,
            site.precompressed,
            content,
            None if content is not None else file,
            identities if settled else (),
        )

    def _trouble(self, error: OSError, names: tuple[str, ...]) -> Found:
        """Say what an error means for the client, and log what the operator must know of."""
        if _is_missing(error):
            return Missing()
        if isinstance(error, PermissionError):
            self._warn("%s can't be read: %s", "/".join(names), error.strerror)
            return Refused(403, "Forbidden")
        if error.errno in _NO_DESCRIPTORS:
            self._warn("No descriptors left to open %s: %s", "/".join(names), error.strerror)
            return Refused(503, "Too many open files")
        self._warn("%s can't be read: %s", "/".join(names), error)
        return Refused(500, "The file can't be read")

    def _warn(self, text: str, *arguments: object) -> None:
        now = time.monotonic()
        if now - self._logged >= 1.0:  # a second: clients must not be able to fill the log
            self._logged = now
            self._log.error(f"{self._site.dir}: {text}", *arguments)


def _tag(content: bytes | None, modified_ns: int, size: int, coding: str) -> bytes:
    """Return a strong ETag: by contents where they are known, so that it says the same on all servers."""
    by_time = f"{modified_ns:x}-{size:x}"
    base = by_time if content is None else hashlib.blake2b(content, digest_size=12).hexdigest()
    return f'"{base}-{coding}"'.encode() if coding else f'"{base}"'.encode()


def _open_compressed(folder: Folder, name: str, modified_ns: int) -> OpenFile | None:
    """Open a file that was compressed beforehand; None if there is none, or if it is older than its original."""
    try:
        file = folder.open(name)
    except OSError as error:
        if _is_missing(error) or isinstance(error, PermissionError):
            return None
        raise
    if file.status().st_mtime_ns < modified_ns:
        file.close()
        return None
    return file


def _close(*files: OpenFile) -> None:
    for file in set(files):
        file.close()


def _is_missing(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError | NotADirectoryError | IsADirectoryError) or error.errno in _MISSING
