"""The user and the group that a process runs as: `--user`, `--group`."""

import os
import sys

from snakepit.errors import ConfigError

_NO_USERS = "this system has no users and groups in the sense of Unix"


def group_id(group: str) -> int:
    """Return the number of a group that is given by name or number. Raises ConfigError."""
    if sys.platform == "win32":
        raise ConfigError(_NO_USERS)
    import grp

    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(f"there is no group {group!r}") from None


def become(user: str | None, group: str | None) -> None:
    """Make this process, with all its threads, one of another user, of another group, or both, for good.

    HOME, USER and LOGNAME become those of the user, as with systemd's User=. Raises ConfigError if that can't be done.
    """
    if sys.platform == "win32":
        raise ConfigError(f"user, group: {_NO_USERS}")
    import grp
    import pwd

    number: int | None = None
    groups = None if group is None else group_id(group)
    name = home = None
    if user is not None:
        try:
            found = pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
        except KeyError:
            raise ConfigError(f"there is no user {user!r}") from None
        number, name, home = found.pw_uid, found.pw_name, found.pw_dir
        groups = found.pw_gid if groups is None else groups
    if (number in (None, os.getuid())) and (groups in (None, os.getgid())):
        return
    try:
        if groups is not None:
            if name is not None:
                os.initgroups(name, groups)
            os.setgid(groups)
        if number is not None:
            os.setuid(number)
    except PermissionError:
        wanted = user if user is not None else f"the group {grp.getgrgid(groups or 0).gr_name}"
        raise ConfigError(f"only root can make the server run as {wanted}; start it as root, or as that one") from None
    if name is not None and home is not None:
        os.environ.update(HOME=home, USER=name, LOGNAME=name)


def require_python(user: str | None, group: str | None) -> None:
    """Raise ConfigError if this process, which has become another user's, may not read Python and this package.

    Interpreters would fail at their first import, without a hint why.
    """
    for folder in (os.path.dirname(os.__file__), os.path.dirname(__file__)):
        if not os.access(folder, os.R_OK | os.X_OK):
            who = f"user {user}" if user is not None else f"group {group}"
            raise ConfigError(f"the {who} may not read {folder}, which the server needs: install it elsewhere")
