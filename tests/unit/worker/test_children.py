"""snakepit.worker.children, in processes of their own: what it takes over in an interpreter stays so."""

import subprocess
import sys
import textwrap

import pytest

PATIENCE = 60
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows starts processes in its own way")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes can be set on Linux only")

SETUP = """
import os, sys
from snakepit.worker import children

def said_by_shell(words, **options):
    import subprocess
    return subprocess.run(["sh", "-c", words], stdout=subprocess.PIPE, text=True, check=True, **options).stdout.strip()

async def said_to_asyncio(words):
    import asyncio
    process = await asyncio.create_subprocess_exec("sh", "-c", words, stdin=-1, stdout=-1)
    return (await process.communicate(b"\\n"))[0].decode().strip()

def said_to_spawn(words, spawn=os.posix_spawn, environ=None, path="/bin/sh"):
    reader, writer = os.pipe()
    begin, go = os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, begin, 0), (os.POSIX_SPAWN_DUP2, writer, 1)]
    spawn = spawn if callable(spawn) else getattr(os, spawn)
    pid = spawn(path, ["sh", "-c", words], os.environ if environ is None else environ, file_actions=actions)
    os.write(go, b"\\n"); os.close(go); os.close(begin); os.close(writer)
    with open(reader) as said:
        answer = said.read().strip()
    assert os.waitpid(pid, 0)[1] == 0
    return answer
"""


def run(*pieces):
    """Run code in another Python; returns what it printed."""
    code = "".join(textwrap.dedent(piece) for piece in (SETUP, *pieces))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.split()


# -- the environment ---------------------------------------------------------------------------------------------------


def test_os_environ_is_what_was_given_and_nothing_else():
    code = """
        os.environ["OLD"] = "old"
        children.set_environment({"NEW": "\\udcff"} | {"PATH": os.environ["PATH"]})
        assert dict(os.environ) == {"NEW": "\\udcff", "PATH": os.environ["PATH"]}
        if sys.platform != "win32":
            assert os.environb[b"NEW"] == b"\\xff"
        os.environ["NEWER"] = "n"
        del os.environ["NEW"]
        print(*sorted(os.environ.keys() - {"PATH"}))
    """
    assert run(code) == ["NEWER"]


@POSIX
def test_the_environment_of_the_process_stays_as_it_is():
    code = """
        os.environ["OLD"] = "old"
        children.set_environment({"NEW": "new", "PATH": os.environ["PATH"]})
        sys.stdout.flush()
        os.system("echo $OLD.$NEW")
    """
    assert run(code) == ["old."]


@POSIX
@pytest.mark.parametrize("early", [False, True])
def test_children_get_what_os_environ_says(early):
    code = f"""
        if {early}:
            import subprocess
        assert {early} == ("subprocess" in sys.modules)
        os.environ["OLD"] = "old"
        children.set_environment({{"NEW": "new", "PATH": os.environ["PATH"]}})
        children.install(True, None)
        import asyncio
        os.environ["NEWER"] = "newer"
        print(said_by_shell("echo $OLD.$NEW.$NEWER"))
        print(said_by_shell("echo $OLD.$NEW.$NEWER", env={{"NEW": "own"}}))
        print(said_by_shell("echo $OLD.$NEW.$NEWER", close_fds=False))
        print(asyncio.run(said_to_asyncio("echo $OLD.$NEW.$NEWER")))
        print(os.popen("echo $OLD.$NEW.$NEWER").read())
        print(said_to_spawn("echo $OLD.$NEW.$NEWER", os.posix_spawn, {{"NEW": "own"}}))
    """
    assert run(code) == [".new.newer", ".own.", *[".new.newer"] * 3, ".own."]


def test_without_an_environment_of_its_own_nothing_is_taken_over():
    code = """
        import _posixsubprocess
        before = _posixsubprocess.fork_exec, os.posix_spawn
        children.install(False, None)
        print(before == (_posixsubprocess.fork_exec, os.posix_spawn))
    """
    assert sys.platform == "win32" or run(code) == ["True"]


# -- the limit on open files -------------------------------------------------------------------------------------------

LIMITED = """
    import asyncio, resource, subprocess
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 256))
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
    children.install(False, (64, 256))
    WORDS = "read go; ulimit -Sn; ulimit -Hn"  # once the process that started it goes on
"""


@LINUX
def test_children_get_the_limit_that_the_server_was_started_with():
    code = """
        print(said_by_shell(WORDS, input="\\n"))
        print(said_by_shell(WORDS, input="\\n", close_fds=False))
        print(asyncio.run(said_to_asyncio(WORDS)))
        print(said_to_spawn(WORDS, "posix_spawn"))
        print(said_to_spawn(WORDS, "posix_spawnp", path="sh"))
        print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    assert run(LIMITED, code) == ["64", "256"] * 5 + ["256", "256"]


@LINUX
def test_install_again_changes_nothing():
    code = """
        before = os.posix_spawn
        children.install(False, (32, 256))
        assert os.posix_spawn is before
        print(said_by_shell(WORDS, input="\\n"))
    """
    assert run(LIMITED, code) == ["64", "256"]


@LINUX
def test_a_limit_that_the_app_sets_is_for_its_children_too():
    code = """
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256))
        print(said_by_shell(WORDS, input="\\n"))
    """
    assert run(LIMITED, code) == ["128", "256"]


@LINUX
def test_errors_are_what_they_were():
    code = """
        for start in (lambda: subprocess.run(["/no/such/program"]), lambda: os.posix_spawn("/no/such", ["x"], {})):
            try:
                start()
            except FileNotFoundError as error:
                print(error.filename)
    """
    assert run(LIMITED, code) == ["/no/such/program", "/no/such"]


@LINUX
def test_the_limit_is_low_only_while_a_process_starts():
    code = """
        def now():
            return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        def start(number):
            print(number, now())
            if number:
                raise BlockingIOError("no more processes")
            return 2**22 + 1  # no process has such a number
        limited = children._limited(start, 64, 256)
        print(limited(0), now())
        try:
            limited(1)
        except BlockingIOError:
            print("refused", now())
    """
    assert run(LIMITED, code) == ["0", "64", str(2**22 + 1), "256", "1", "64", "refused", "256"]


MANY = """
    many = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)]
"""


@LINUX
def test_with_many_files_open_the_limit_stays_and_the_child_gets_its_own_later():
    code = """
        setrlimit, resource.setrlimit = resource.setrlimit, None
        print(said_by_shell(WORDS, input="\\n"))
        print(said_by_shell(WORDS, input="\\n", cwd="/"))
        print(*resource.getrlimit(resource.RLIMIT_NOFILE))
    """
    assert run(LIMITED, MANY, code) == ["64", "256"] * 2 + ["256", "256"]


@LINUX
def test_a_limit_that_cannot_be_set():
    code = """
        def refuse(*limits):
            raise PermissionError("not yours")
        resource.prlimit = refuse
        print(said_by_shell(WORDS, input="\\n"))
    """
    assert run(LIMITED, MANY, code) == ["256", "256"]


@LINUX
def test_where_it_cannot_be_told_how_many_files_are_open():
    code = """
        def refuse(path):
            raise FileNotFoundError(path)
        os.listdir = refuse
        print(children._open_files())
        print(said_by_shell(WORDS, input="\\n"))
    """
    assert run(LIMITED, code) == ["inf", "64", "256"]
