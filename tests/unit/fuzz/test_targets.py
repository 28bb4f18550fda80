"""The targets of the fuzzer: what they begin with is good, what was found stays mended, and their faults exist."""

import sys
from pathlib import Path

import pytest

import snakepit
from fuzz.planting import faulty
from fuzz.target import Choices, Found, expect, load, names, splits

PACKAGE = Path(snakepit.__file__).parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fuzzing is for Linux")


@pytest.mark.parametrize("name", names())
def test_seeds_are_good(name):
    target = load(name)
    assert target.seeds
    for seed in target.seeds:
        target.check(seed)
        target.check(seed[: len(seed) // 2])
        assert len(seed) <= target.longest


FOUND = {
    "a StopIteration in a generator": (
        "x509",
        b"\x000\x82\x01\x030\x81\xb6\xa0\x03+ep0\x0c1\n0\x08\x06\x03U\x04\x03\x0c\x01t0\x1e\x17\r250101000000Z\x17\r"
        b"350101000000Z0\x0c1\n0\x08\x06\x03U\x04\x03\x0c\x01t0*0\x05\x06\x03+ep\x03!\x00"
        + bytes(range(32))
        + b"\xa3=0;0\x0c\x06\x03U\x1d\x13\x04\x050\x03\x01\x01\xff0+\x06\x03U\x1d\x11"
        + bytes(36)
        + b"\x04\x7f\x00\x00\x010\x05\x06\x03+ep\x03A\x00"
        + bytes(64),
    ),
    "a method that is no token": ("h1", b"\x00S, / HTTP/1.1\r\n"),
    "no end of a chunk": ("chunked", b"\x003\r\nabc\r\xff"),
    "a line of a chunk that is as long as a head": ("chunked", b'\x00a;x="' + b"x" * 112 + b'"\r\n0123456789'),
    "trailers as long as a head, and their end in two pieces": (
        "chunked",
        b"\x000\r\nt:" + b"x" * 112 + b"\r\nu:\r\n\r\n",
    ),
    "declined when its response has begun": (
        "envelopes",
        b"\x00\x05\x00\x00\x01\x01\x02\x00\x01\x01\x01\x01\x02\x00\x02\x02\x01\x01\x02\x00\x03\x03\x01\x01\x02\x00\x04"
        b"\x00\x01\x01\x84",
    ),
}
"""Inputs that the fuzzer has found, by what was wrong."""


@pytest.mark.parametrize(("name", "data"), FOUND.values(), ids=FOUND)
def test_what_was_found_is_mended(name, data):
    load(name).check(data)


@pytest.mark.parametrize("name", names())
def test_faults_can_be_planted(name):
    faults = load(name).faults
    assert len(faults) >= 3
    for fault in faults:
        text = (PACKAGE / fault.file).read_text(encoding="utf-8")
        compile(faulty(fault, text), fault.file, "exec")


def test_a_fault_that_stands_nowhere_is_told():
    fault = load("h1").faults[0]
    with pytest.raises(ValueError, match="0 times"):
        faulty(fault, "nothing")


@pytest.mark.parametrize("salt", range(12))
def test_pieces_are_the_whole(salt):
    data = bytes(range(256))
    found = list(splits(data, salt))
    assert [b"".join(pieces) for pieces in found] == [data, data]
    assert len(found[1]) > 1


def test_choices_end_in_zeros():
    choices = Choices(b"\x05\x02abc")
    assert (choices.number(4), choices.bytes(), choices.rest(), choices.number(9)) == (1, b"ab", b"c", 0)


def test_what_does_not_hold_is_told():
    with pytest.raises(Found, match="no good b'x'"):
        expect(False, "no good", b"x")
