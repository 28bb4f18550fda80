"""snakepit.http.ws.masking: the C function where there is one, and the Python code, agree with the definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.http.ws import masking
from snakepit.http.ws.frames import BINARY, Message, WebSocketProtocol

MASKS = st.binary(min_size=4, max_size=4)


def masked(mask, data):
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))


@pytest.fixture(params=["C", "Python"], scope="module")
def way(request):
    known = masking._apply_mask
    if request.param == "C" and known is None:
        pytest.skip("websockets is not installed")
    if request.param == "Python":
        masking._apply_mask = None
    yield
    masking._apply_mask = known


@given(MASKS, st.binary(max_size=300))
def test_short(way, mask, data):
    assert masking.unmask(mask, masked(mask, data)) == data


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 65535, 65536])
def test_sizes(way, size):
    data = bytes(range(251)) * (size // 251 + 1)
    mask = b"\x01\x80\xff\x00"
    assert masking.unmask(mask, masked(mask, data[:size])) == data[:size]


def test_frame(way):
    protocol = WebSocketProtocol(1024, None)
    mask = b"abcd"
    protocol.receive_data(bytes((BINARY, 0x85)) + mask + masked(mask, b"hello"))
    assert protocol.events_received() == [Message(b"hello")]
