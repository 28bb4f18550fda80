"""Watches the app's files with watchfiles, and reports changes: `--reload`."""

import os
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from snakepit.config import placeholders
from snakepit.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from watchfiles import Change

    from snakepit.config.options import Config, RoutedApp

LEAST_DELAY = 10
"""Milliseconds; the least time without a change before a report: with 0 watchfiles would not wait at all."""

DELAYS_AT_MOST = 20
"""The most delays until changes are reported while further files change: editors save in several steps."""

SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist"})
"""Folders that are never watched, besides hidden ones and virtual environments."""


class Reloader:
    """The watched files. Raises ConfigError if they can't be watched."""

    def __init__(self, config: "Config", apps: "Sequence[RoutedApp]") -> None:
        try:
            from watchfiles import awatch
        except ImportError as error:
            raise ConfigError(f"--reload needs the package watchfiles: {error}; pip install watchfiles") from None
        self._awatch = awatch
        self._delay = max(LEAST_DELAY, round(config.reload_delay * 1000))
        self._include = tuple(config.reload_include)
        self._exclude = tuple(config.reload_exclude)
        own = [_resolved(placeholders.fixed_folder(app.config.app_dir)) for app in apps]
        self._for_all = [_resolved(folder) for folder in config.reload_dir]
        self.folders = self._for_all or [folder for folder in dict.fromkeys(own) if not _is_below(folder, own)]
        for folder in self.folders:
            if not folder.is_dir():
                raise ConfigError(f"--reload can't watch {folder}: there is no such folder")

    def is_concerned(self, config: "Config", changed: "Iterable[Path]") -> bool:
        """Tell whether changed files concern the app with these options.

        It is concerned by what is below its folder, and by what is below a folder of `reload_dir`.
        """
        return _is_any_below(changed, [_resolved(config.app_dir), *self._for_all])

    async def changes(self) -> "AsyncIterator[list[Path]]":
        """Yield the changed files, each time some have changed."""
        watching = self._awatch(
            *self.folders,
            watch_filter=self._concerns,
            debounce=self._delay * DELAYS_AT_MOST,
            step=self._delay,
            ignore_permission_denied=True,
        )
        async for changes in watching:
            yield sorted({Path(path) for _, path in changes})

    def _concerns(self, change: "Change", path: str) -> bool:
        for folder in self.folders:
            if Path(path).is_relative_to(folder):
                return self.concerns(folder, Path(path).relative_to(folder).parts)
        return False

    def concerns(self, folder: Path, parts: "Iterable[str]") -> bool:
        """Tell whether to watch a file below a watched folder."""
        *folders, name = parts
        # files with a leading dot belong to editors, unless a pattern includes them, as in a shell
        included = (pattern for pattern in self._include if pattern.startswith(".") or not name.startswith("."))
        if not any(fnmatch(name, pattern) for pattern in included):
            return False
        if any(fnmatch(part, pattern) for part in (*folders, name) for pattern in self._exclude):
            return False
        here = str(folder)
        for part in folders:
            here = os.path.join(here, part)
            if part in SKIPPED or part.startswith(".") or os.path.exists(os.path.join(here, "pyvenv.cfg")):
                return False
        return True


def _resolved(folder: str) -> Path:
    return Path(folder or ".").resolve()


def _is_below(folder: Path, others: "Iterable[Path]") -> bool:
    return any(folder != other and folder.is_relative_to(other) for other in others)


def _is_any_below(paths: "Iterable[Path]", folders: "Sequence[Path]") -> bool:
    return any(path.is_relative_to(folder) for path in paths for folder in folders)
