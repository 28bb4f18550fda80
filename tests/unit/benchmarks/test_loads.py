"""What load generators send, and what is made of what they say."""

import subprocess
import sys

import pytest

from benchmarks.peers.cases import CASES
from benchmarks.peers.fixed_rate import CLIENT_RATE, MOST_SECONDS, choose_rate, seconds_at
from benchmarks.peers.load import by_thread
from benchmarks.peers.running import UNIQUE, Exchange
from benchmarks.process import ProcessTree, Spent

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the load generators and /proc are for Linux")


def test_the_rate_is_half_of_what_the_slowest_can_take():
    rate, why = choose_rate({"uvicorn": 2000.0, "granian": 500.0, "gunicorn": 900.0})
    assert rate == 250
    assert why == "250 requests/s, half of what the slowest of them took (granian)."


def test_the_rate_is_one_that_the_client_can_send():
    rate, why = choose_rate({"uvicorn": 50_000.0, "granian": 40_000.0})
    assert rate == CLIENT_RATE
    assert "the most that the client can send" in why


def test_there_is_no_rate_where_nobody_could_be_measured():
    assert choose_rate({}) is None
    assert choose_rate({"uvicorn": 0.0}) is None


def test_a_round_is_longer_where_requests_are_few():
    assert seconds_at(3000, 3.0) == 3
    assert seconds_at(200, 3.0) == 5
    assert seconds_at(10, 3.0) == MOST_SECONDS
    assert seconds_at(10, 20.0) == 20


def test_cpu_time_by_thread_is_that_of_the_busiest_process():
    before = {1: Spent(5.0, 4.0, 1.0), 2: Spent(1.0, 0.5, 0.25)}
    after = {1: Spent(5.5, 4.5, 1.0), 2: Spent(4.0, 1.5, 0.75), 3: Spent(9.0, 9.0, 0.0)}
    assert by_thread(before, after, 1_000_000) == {"main_us": 1.5, "main_system_us": 0.5, "others_us": 1.5}


def test_there_is_no_cpu_time_by_thread_of_processes_that_are_gone():
    assert by_thread({1: Spent(1.0, 1.0, 0.0)}, {2: Spent(1.0, 1.0, 0.0)}, 100) == {}


@needs_linux
def test_the_main_threads_time_is_told_from_the_others():
    code = (
        "import threading, time\n"
        "def burn(seconds):\n"
        "    end = time.thread_time() + seconds\n"
        "    while time.thread_time() < end: pass\n"
        "thread = threading.Thread(target=burn, args=(0.6,)); thread.start(); thread.join()\n"
        "print(flush=True); time.sleep(600)"
    )
    process = ProcessTree([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.process.stdout.readline() == b"\n"
        spent = process.spent()[process.process.pid]
    finally:
        process.stop()
        process.process.stdout.close()
    assert spent.total - spent.main_user - spent.main_system >= 0.55
    assert spent.total >= 0.55


def test_a_browser_sends_twelve_fields():
    fields = CASES["browser"].exchange.fields()
    assert len(fields) == 11  # and Host
    assert UNIQUE not in fields["Cookie"]


@needs_linux
def test_requests_are_never_the_same_twice_where_they_should_not_be():
    from benchmarks.open_loop import writer

    write = writer(Exchange("/a", b"", b"body", {"Cookie": f"id={UNIQUE}; x=1"}).data(), 80)
    requests = [write() for _ in range(100)]
    assert len(set(requests)) == 100
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[:3] == [b"POST /a HTTP/1.1", b"Host: 127.0.0.1:80", b"Content-Length: 4"]
    assert lines[3].startswith(b"Cookie: id=")
    assert lines[3].endswith(b"; x=1")
    assert len(lines[3]) == len(b"Cookie: id=; x=1") + 32
    assert body == b"body"


@needs_linux
def test_other_requests_are_always_the_same():
    from benchmarks.open_loop import writer

    write = writer(Exchange("/", b"").data(), 80)
    assert write() == write() == b"GET / HTTP/1.1\r\nHost: 127.0.0.1:80\r\n\r\n"


@needs_linux
def test_percentiles_of_a_fixed_rate():
    from benchmarks.open_loop import percentiles

    times = [number / 1000 for number in range(100, 0, -1)]
    found = percentiles("fast", times)
    assert found == pytest.approx({"fast_p50_ms": 50.5, "fast_p90_ms": 91, "fast_p99_ms": 100, "fast_max_ms": 100})
    assert percentiles("slow", []) == {}


@needs_linux
@pytest.mark.parametrize("size", range(1, 60, 7))
def test_events_are_found_wherever_the_network_cuts_them(size):
    from benchmarks.sse_client import Stream

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    dues = [12.5, 1234.567891, 0.1]
    events = [f"data: {due:.6f}\n\n".encode() for due in dues]
    text = head + b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    stream = Stream(None)
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert [due for piece in pieces for due in stream.dues(piece)] == dues
    assert stream.seen


@needs_linux
def test_an_answer_that_is_no_stream_ends_the_client():
    from benchmarks.sse_client import Stream

    with pytest.raises(SystemExit, match="503"):
        Stream(None).dues(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")


@needs_linux
def test_events_that_came_late():
    from benchmarks.sse_client import summary

    late = [0.001] * 97 + [0.05, 0.101, 0.2]
    found = summary(late, 2.0)
    assert found == pytest.approx({"events": 100, "per_second": 50, "p50_ms": 1, "p99_ms": 101, "late": 2})
