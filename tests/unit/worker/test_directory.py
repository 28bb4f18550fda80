"""snakepit.worker.directory, in processes of their own: it replaces functions of `os` for good."""

import subprocess
import sys
import textwrap

import pytest
from waiting import PATIENCE

SETUP = """
import contextlib, os, sys
from snakepit.worker import directory
start = os.getcwd()
os.mkdir("below")
directory.install(sys.argv[1])
"""


@pytest.fixture
def run(tmp_path):
    """Runs code in another Python, in a folder of its own."""

    def run(policy, code):
        done = subprocess.run(
            [sys.executable, "-c", SETUP + textwrap.dedent(code), policy],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


REFUSED = """
    try:
        {}
    except RuntimeError as error:
        assert str(error).startswith("os.{}: the working directory is that of all workers; use absolute"), error
        assert "--app-dir" in str(error) and "--runtime process" in str(error)
    else:
        raise AssertionError
    assert os.getcwd() == start
"""


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("os.chdir('below')", "chdir"),
        ("os.chdir(b'below')", "chdir"),
        ("os.chdir(path='below')", "chdir"),
        ("contextlib.chdir('below').__enter__()", "chdir"),
        pytest.param(
            "os.fchdir(os.open('below', os.O_RDONLY))",
            "fchdir",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="POSIX"),
        ),
    ],
)
def test_it_raises(run, code, name):
    assert run("error", REFUSED.format(code, name)) == ""


@pytest.mark.parametrize("policy", ["error", "warn"])
def test_the_directory_in_which_the_process_is_may_be_entered(run, policy):
    code = """
        with contextlib.chdir("."):
            os.chdir(start)
        os.chdir(path=os.path.join(start, "below", ".."))
        assert os.getcwd() == start and directory.notes() == []
    """
    assert run(policy, code) == ""


@pytest.mark.parametrize("policy", ["error", "warn", "allow"])
def test_errors_are_those_of_the_system(run, policy):
    code = """
        for wrong, error in (("missing", FileNotFoundError), (None, TypeError), ("\\0", ValueError)):
            try:
                os.chdir(wrong)
            except error:
                pass
        try:
            os.chdir()
        except TypeError as error:
            assert "chdir" in str(error)
    """
    assert run(policy, code) == ""


def test_it_warns_once_of_what_happens_before_the_notes_are_taken(run):
    code = """
        os.chdir("below")
        os.chdir(start)
        (note,) = directory.notes()
        assert note.startswith("The app has changed the working directory of all workers to 'below': use absolute")
        os.chdir("below")
    """
    assert run("warn", code) == ""


def test_it_logs_once_what_happens_later(run):
    code = """
        assert directory.notes() == []
        with contextlib.chdir("below"):
            assert os.getcwd() == os.path.join(start, "below")
        assert os.getcwd() == start
    """
    told = run("warn", code)
    assert told.count("The app has changed the working directory of all workers to 'below'") == 1
    assert told.count("\n") == 1


def test_allowed(run):
    code = """
        assert os.chdir.__class__.__name__ == "builtin_function_or_method"
        os.chdir("below")
        assert directory.notes() == []
    """
    assert run("allow", code) == ""


def test_what_takes_descriptors_is_known_to_take_them_still(run):
    assert run("warn", "assert (os.chdir in os.supports_fd) == hasattr(os, 'fchdir')") == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX: Windows does not remove a directory that is in use")
def test_a_directory_that_has_been_removed(run):
    code = """
        os.chdir("below")
        os.rmdir(os.getcwd())
        os.chdir(start)
    """
    assert run("warn", code) == ""
