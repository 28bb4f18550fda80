"""snakepit.server.privileges. What changes the process runs in a child process."""

import os
import subprocess
import sys

import pytest

from snakepit.errors import ConfigError
from snakepit.server.privileges import become, group_id, require_python

if sys.platform == "win32":
    pytest.skip("there are no such users", allow_module_level=True)

import grp
import pwd

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
OTHER = pwd.getpwnam("nobody")


def test_groups_by_name_and_number():
    found = grp.getgrgid(os.getgid())
    assert group_id(found.gr_name) == group_id(str(found.gr_gid)) == found.gr_gid


def test_nobody_of_that_name():
    with pytest.raises(ConfigError, match=r"^there is no group 'no-such-group'$"):
        group_id("no-such-group")
    with pytest.raises(ConfigError, match=r"^there is no user 'no-such-user'$"):
        become("no-such-user", None)
    with pytest.raises(ConfigError, match=r"^there is no user '4000000000'$"):
        become("4000000000", None)


def test_who_one_is_already():
    become(pwd.getpwuid(os.getuid()).pw_name, None)
    become(None, str(os.getgid()))
    become(None, None)


def in_child(code):
    lines = (
        "import grp, os, pwd",
        "from snakepit.errors import ConfigError",
        "from snakepit.server.privileges import become",
        code,
    )
    return subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)


@NEEDS_ROOT
def test_another_user_for_good():
    ran = in_child(
        f"""become({OTHER.pw_name!r}, None)
print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ["HOME"], os.environ["USER"])
try:
    os.setuid(0)
except PermissionError:
    print("for good")
"""
    )
    groups = os.getgrouplist(OTHER.pw_name, OTHER.pw_gid)
    told, last = ran.stdout.splitlines()
    assert told == f"{(OTHER.pw_uid,) * 3} {(OTHER.pw_gid,) * 3} {groups} {OTHER.pw_dir} {OTHER.pw_name}", ran.stderr
    assert last == "for good"


@NEEDS_ROOT
def test_another_group():
    ran = in_child(f"become(None, {str(OTHER.pw_gid)!r})\nprint(os.getuid(), os.getgid())")
    assert ran.stdout == f"0 {OTHER.pw_gid}\n", ran.stderr


@NEEDS_ROOT
def test_only_root_can():
    ran = in_child(
        f"""os.setgid({OTHER.pw_gid})
os.setuid({OTHER.pw_uid})
for user, group in (("root", None), (None, "0")):
    try:
        become(user, group)
    except ConfigError as error:
        print(error)
"""
    )
    assert ran.stdout.splitlines() == [
        f"only root can make the server run as {name}; start it as root, or as that one"
        for name in ("root", f"the group {grp.getgrgid(0).gr_name}")
    ], ran.stderr


@pytest.mark.parametrize(("user", "group", "who"), [("web", "www", "user web"), (None, "www", "group www")])
def test_a_python_that_others_may_not_read(monkeypatch, user, group, who):
    require_python(user, group)
    library = os.path.dirname(os.__file__)
    monkeypatch.setattr(os, "access", lambda path, mode: path != library)
    with pytest.raises(ConfigError) as caught:
        require_python(user, group)
    assert str(caught.value) == f"the {who} may not read {library}, which the server needs: install it elsewhere"
