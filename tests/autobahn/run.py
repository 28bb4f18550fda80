"""Run Autobahn's fuzzing client against a Snakepit that echoes, and judge what it reports: `make autobahn`.

It needs Python 2.7 ($PYTHON27, or one on PATH or under pyenv), for which it makes an environment of its own.
Every case must be OK or informational; anything else is named, and ends this with 1.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-autobahn"
PAGE = ROOT / "docs" / "reference" / "autobahn.md"
SUITE = "autobahntestsuite==25.10.1"
AGENT = "Snakepit"
GOOD = ("OK", "INFORMATIONAL")

SECTIONS = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8",
    7: "Closing",
    9: "Limits and performance",
    10: "Miscellaneous",
    12: "Compression, different payloads",
    13: "Compression, different parameters",
}
ALL = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}
"""How many cases each section has."""

QUICK = [f"{section}.*" for section in SECTIONS if section < 12]
QUICK += [f"12.{group}.{case}" for group in range(1, 6) for case in (1, 6, 12, 18)]
QUICK += [f"13.{group}.{case}" for group in range(1, 8) for case in (1, 6, 12, 18)]
"""All but most of the compression cases, each of which sends a thousand messages."""


def python27() -> str:
    """Path of a Python 2.7. Raises SystemExit."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    given = os.environ.get("PYTHON27")
    found = [given] if given else [*sorted(map(str, pyenv.glob("2.7*/bin/python"))), shutil.which("python2.7")]
    for candidate in filter(None, found):
        asked = subprocess.run(
            [candidate, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip() == "(2, 7)":
            return candidate
    raise SystemExit("Autobahn's test suite needs Python 2.7: pyenv install 2.7.18, or name one with PYTHON27=...")


def wstest() -> Path:
    """Return the fuzzing client, and install it if necessary."""
    made = ENVIRONMENT / "made-with"
    if not made.exists() or made.read_text() != SUITE:
        print(f"Setting up {ENVIRONMENT.name}", file=sys.stderr)
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        base, parts = python27(), ENVIRONMENT / "virtualenv"
        pip = ("-m", "pip", "--disable-pip-version-check", "install", "-qq")
        quiet = {"env": {**os.environ, "PYTHONWARNINGS": "ignore", "PIP_NO_PYTHON_VERSION_WARNING": "1"}, "check": True}
        subprocess.run([base, *pip, "--target", parts, "virtualenv==20.15.1"], **quiet)
        path = {**quiet["env"], "PYTHONPATH": str(parts)}
        subprocess.run([base, "-m", "virtualenv", "-q", "--no-download", ENVIRONMENT], env=path, check=True)
        subprocess.run([ENVIRONMENT / "bin" / "python", *pip, SUITE], **quiet)
        made.write_text(SUITE)
    return ENVIRONMENT / "bin" / "wstest"


def fuzz(client: Path, cases: list[str], reports: Path) -> dict[str, dict]:
    """Run the cases; returns the result of each."""
    log = reports / "server.log"
    command = [sys.executable, "-m", "snakepit", "run", "--app-dir", str(ROOT / "tests" / "apps")]
    command += ["websocket_behaviors:app", "--port", "0", "-n", "1", "--no-access-log"]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stderr=output, cwd=ROOT)
    try:
        while (address := re.search(r"Listening on http://(\S+)", log.read_text())) is None:
            if server.poll() is not None:
                raise SystemExit(f"the server ended with {server.returncode}:\n{log.read_text()}")
            time.sleep(0.05)
        spec = {
            "outdir": str(reports),
            "servers": [{"agent": AGENT, "url": f"ws://{address[1]}/echo"}],
            "cases": cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        (reports / "spec.json").write_text(json.dumps(spec))
        with (reports / "client.log").open("wb") as output:
            subprocess.run(
                [client, "-m", "fuzzingclient", "-s", reports / "spec.json"],
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
            )
        server.terminate()
        if server.wait(60) or "Traceback" in log.read_text():
            raise SystemExit(f"the server ended with {server.returncode}, and said:\n{log.read_text()}")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()
    return json.loads((reports / "index.json").read_text())[AGENT]


def order(case: str) -> list[int]:
    return [int(part) for part in case.split(".")]


def verdict(result: dict) -> str:
    """The worse of the verdicts on what was said and on how it was closed."""
    return next((found for found in (result["behavior"], result["behaviorClose"]) if found not in GOOD), None) or (
        "INFORMATIONAL" if "INFORMATIONAL" in (result["behavior"], result["behaviorClose"]) else "OK"
    )


def missing(results: dict[str, dict], cases: list[str]) -> list[str]:
    """Return the requested cases that did not run."""
    count = Counter(order(case)[0] for case in results)
    lacking = [f"{section}.* ({count[section]} of {ALL[section]})" for section in SECTIONS
               if f"{section}.*" in cases and count[section] != ALL[section]]  # fmt: skip
    return lacking + [case for case in cases if "*" not in case and case not in results]


def page(results: dict[str, dict], reports: Path, version: str) -> str:
    """Return the table for the documentation."""
    lines = [
        "# WebSocket conformance",
        "",
        "<!-- written by `make autobahn ARGS=--write`; don't edit -->",
        "",
        f"What the fuzzing client of [Autobahn's test suite]"
        f"(https://github.com/crossbario/autobahn-testsuite) ({SUITE.replace('==', ' ')}) says of Snakepit {version}:",
        "",
        "| Cases | About | Run | OK | Informational | Non-strict | Failed |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    total: Counter[str] = Counter()
    for section, about in SECTIONS.items():
        count = Counter(verdict(result) for case, result in results.items() if order(case)[0] == section)
        lines.append(_row(f"{section}.*", about, count))
        total += count
    lines.append(_row("**all**", "", total))
    lines += ["", "Informational are cases in which RFC 6455 leaves open what a server does:", ""]
    for case in sorted(results, key=order):
        if verdict(results[case]) == "INFORMATIONAL":
            report = json.loads((reports / results[case]["reportfile"]).read_text())
            lines.append(f"- {case}: {' '.join(re.sub('<[^>]*>', ' ', report['description']).split())}")
    return "\n".join([*lines, ""])


def _row(cases: str, about: str, count: Counter[str]) -> str:
    failed = sum(count.values()) - count["OK"] - count["INFORMATIONAL"] - count["NON-STRICT"]
    numbers = (count.total(), count["OK"], count["INFORMATIONAL"], count["NON-STRICT"], failed)
    return f"| {cases} | {about} | {' | '.join(map(str, numbers))} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Run Autobahn's fuzzing client against Snakepit.")
    parser.add_argument("--quick", action="store_true", help="leave most of the compression cases out")
    parser.add_argument("--cases", nargs="*", help="run these only, such as '3.*'")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    parser.add_argument("--reports", type=Path, default=ROOT / ".autobahn", help="folder for what the client reports")
    options = parser.parse_args()
    cases = options.cases or (QUICK if options.quick else [f"{section}.*" for section in SECTIONS])
    client = wstest()
    shutil.rmtree(options.reports, ignore_errors=True)
    options.reports.mkdir(parents=True)
    began = time.monotonic()
    results = fuzz(client, cases, options.reports)
    bad = {case: verdict(result) for case, result in results.items() if verdict(result) not in GOOD}
    counts = Counter(map(verdict, results.values()))
    summary = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    print(f"Autobahn: {len(results)} cases in {time.monotonic() - began:.0f} s: {summary}")
    for case in sorted(bad, key=order):
        print(f"  {case}: {bad[case]}, see {options.reports / results[case]['reportfile']}")
    lacking = missing(results, cases)
    for case in lacking:
        print(f"  {case} did not run")
    if options.write and not lacking:
        from snakepit import __version__

        PAGE.write_text(page(results, options.reports, __version__), encoding="utf-8")
    if bad or lacking:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
