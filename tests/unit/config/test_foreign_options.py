"""config.foreign_options: each option of uvicorn is here, too, or is answered; and what is said of others is true."""

import inspect
import re
import subprocess
import sys
from importlib.metadata import version

import foreign_options_table as tool
import pytest
import uvicorn
from uvicorn.main import main as uvicorn_command
from waiting import PATIENCE

from snakepit.cli.main import cli
from snakepit.config import foreign_options
from snakepit.config.foreign_options import KINDS, SAME, about_arguments, about_keyword, shown
from snakepit.config.options import OPTIONS

FOREIGN = foreign_options.load()
OURS = {name for param in cli.commands["run"].params for name in (*param.opts, *param.secondary_opts)}
OF_COMMANDS = {name for command in cli.commands.values() for param in command.params for name in param.opts}
EVERY = [(server, flag) for server, answers in FOREIGN.options.items() for flag in answers]


def test_every_option_of_uvicorn_has_its_place():
    theirs = {name for param in uvicorn_command.params for name in (*param.opts, *param.secondary_opts)}
    assert {name for name in theirs if name.startswith("-")} == set(FOREIGN.options["uvicorn"]), version("uvicorn")


@pytest.mark.parametrize(
    ("server", "flags"),
    [
        ("gunicorn", "-b -w -k -t -D -p -u -g -m -c --bind --chdir --preload --timeout --keep-alive --max-requests"),
        ("granian", "--interface --workers --blocking-threads --backpressure --env-files --static-path-mount"),
        ("hypercorn", "-b -w -k --certfile --keep-alive --access-logfile --graceful-timeout"),
        ("waitress", "--listen --threads --call --unix-socket --url-prefix --trusted-proxy"),
    ],
)
def test_the_usual_options_of_others_have_theirs(server, flags):
    assert set(flags.split()) - set(FOREIGN.options[server]) == set()


@pytest.mark.parametrize(("server", "flag"), EVERY)
def test_an_answer_says_whether_the_option_is_here(server, flag):
    answer = FOREIGN.options[server][flag]
    assert answer.startswith(KINDS)
    assert answer.startswith(SAME) is (flag in OURS)
    assert not answer.endswith(".")


ANSWERS = [answer for answers in (*FOREIGN.options.values(), *FOREIGN.values.values()) for answer in answers.values()]


def test_answers_name_only_options_that_there_are():
    named = {name for answer in ANSWERS for name in re.findall(r"(?<!\S)--[a-z-]+", answer)}
    assert len(named) > 20
    assert named - OURS - OF_COMMANDS - {"--help"} == set()


def test_values_are_answered_only_where_they_are_refused():
    choices = {option.flag: option.choices for option in OPTIONS}
    for flag, values in FOREIGN.values.items():
        assert flag in OURS
        assert set(values) & set(choices[flag]) == set()
        assert all(answer.startswith(KINDS[1:]) for answer in values.values())


@pytest.mark.parametrize("name", FOREIGN.keywords)
def test_keywords_are_those_of_uvicorn(name):
    assert name in inspect.signature(uvicorn.run).parameters
    assert re.search(r"use (\w+)=", FOREIGN.keywords[name])[1] in {option.name for option in OPTIONS}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("main:app --port 1", []),
        ("main:app --nonsense", []),
        ("main:app -u www", ["-u (of gunicorn and hypercorn): use --user www."]),
        ("main:app -uwww", ["-u (of gunicorn and hypercorn): use --user www."]),
        ("main:app --cert-reqs=2 --cert-reqs 2", ["--cert-reqs (of gunicorn and hypercorn): use --ssl-cert-reqs none, "
                                                  "optional or required."]),
        ("main:app --h11-max-incomplete-event-size 9", ["--h11-max-incomplete-event-size (of uvicorn): use "
                                                        "--limit-request-head 9."]),
        ("--unix-socket=/x main:app", ["--unix-socket (of waitress): use --uds /x."]),
        ("main:app --graceful-timeout", ["--graceful-timeout (of gunicorn and hypercorn): use "
                                         "--timeout-graceful-shutdown SECONDS."]),
        ("main:app --graceful-timeout --reload", ["--graceful-timeout (of gunicorn and hypercorn): use "
                                                  "--timeout-graceful-shutdown SECONDS."]),
        ("main:app --interface asgi3", ["--interface asgi3: use --interface asgi."]),
        ("main:app --interface=asginl", ["--interface asginl: use --interface asgi --lifespan off."]),
        ("main:app --interface asgi", []),
        ("main:app --ws-per-message-deflate false", ["--ws-per-message-deflate false: use "
                                                     "--no-ws-per-message-deflate."]),
        ("main:app -- -b", []),
        ("main:app -", []),
    ],
)  # fmt: skip
def test_what_is_said(arguments, said):
    assert about_arguments(arguments.split(), OURS) == said


def test_all_is_said_at_once():
    said = about_arguments(["main:app", "-k", "gevent", "--preload", "--timeout", "30", "-w", "4"], OURS)
    assert [line.split()[0] for line in said] == ["-k", "--preload", "--timeout"]
    assert "use --timeout-request 30 for requests" in said[2]


def test_servers_with_different_answers():
    said = about_arguments(["--server-name", "x", "--ssl-certificate", "k"], OURS)
    assert [line.partition(":")[0] for line in said] == [
        "--server-name (of hypercorn and waitress)",
        "--ssl-certificate (of granian)",
    ]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("reload_dirs", "reload_dirs (of uvicorn): use reload_dir="),
        ("http2", "--http2 (of uvicorn): there is no HTTP/2"),
    ],
)
def test_keywords(name, begins):
    (said,) = about_keyword(name)
    assert said.startswith(begins)


def test_a_keyword_of_nobody():
    assert about_keyword("nonsense") == []


def test_places_in_answers():
    assert shown("use --x {SECONDS} or --y {SECONDS}", "3") == "use --x 3 or --y 3"
    assert shown("use --x {SECONDS}") == "use --x SECONDS"


def test_a_start_that_is_understood_does_not_read_them():
    code = "import sys, snakepit.cli.main, snakepit.server.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    loaded = done.stdout.split()
    assert "snakepit.server.server" in loaded, done.stderr
    assert {"snakepit.config.foreign_options", "tomllib"} & set(loaded) == set()


# -- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_up_to_date():
    page = tool.PAGE.read_text(encoding="utf-8")
    assert page == tool.page_with(tool.tables(), page), "run: python tools/foreign_options_table.py --write"


def test_the_page_has_each_option():
    text = tool.tables()
    for server, flag in EVERY:
        section = text.partition(f"### {server}\n")[2].partition("\n### ")[0]
        assert f"`{flag}`" in section


@pytest.mark.parametrize("page", ["", "<!-- options: start -->\n", "<!-- options: end -->\n<!-- options: start -->\n"])
def test_a_page_without_its_markers_is_refused(page):
    with pytest.raises(SystemExit, match="must have its two markers"):
        tool.page_with("table\n", page)
