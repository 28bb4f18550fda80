"""snakepit.wire.envelopes: what crosses comes out as it went in, and bodies are cut and charged as promised."""

import inspect

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.wire import envelopes
from snakepit.wire.envelopes import CHUNK, CHUNK_COST, LARGE, WINDOW, cost, decode, encode, encode_apart, split

numbers = st.integers(min_value=0, max_value=2**63)
chunks = st.binary(max_size=200)
headers = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=50)), max_size=6)
fields = st.tuples(st.binary(max_size=100), st.integers(0, 15), st.none() | numbers)
addresses = st.none() | st.tuples(st.text(max_size=40), st.integers(0, 65535))
faults = st.none() | st.text(max_size=200)
seconds = st.floats(min_value=0, allow_nan=False)

requests = st.builds(
    envelopes.request,
    numbers,
    st.text(max_size=10),
    st.binary(max_size=50),
    st.sampled_from(["1.0", "1.1"]),
    headers,
    addresses,
    addresses,
    st.sampled_from(["http", "https"]),
    chunks,
    st.booleans(),
    st.booleans(),
    st.none() | st.text(max_size=20),
)

MAKERS = {
    envelopes.REQUEST: requests,
    envelopes.BODY: st.builds(envelopes.body, numbers, chunks, st.booleans()),
    envelopes.CREDIT: st.builds(envelopes.credit, numbers, numbers),
    envelopes.DISCONNECT: st.builds(envelopes.disconnect, numbers),
    envelopes.RETIRE: st.builds(envelopes.retire),
    envelopes.STOP: st.builds(envelopes.stop),
    envelopes.TIMED_OUT: st.builds(envelopes.timed_out, numbers),
    envelopes.PING: st.builds(envelopes.ping),
    envelopes.SPEAK: st.builds(envelopes.speak),
    envelopes.ABANDONED: st.builds(envelopes.abandoned),
    envelopes.REOPEN_LOGS: st.builds(envelopes.reopen_logs),
    envelopes.ASK_STACK: st.builds(envelopes.ask_stack),
    envelopes.STACK: st.builds(envelopes.stack, st.text(max_size=200)),
    envelopes.PONG: st.builds(envelopes.pong, seconds, seconds),
    envelopes.BUSY: st.builds(envelopes.busy, numbers),
    envelopes.SEEN_TO: st.builds(envelopes.seen_to, numbers, st.text(max_size=200), st.booleans()),
    envelopes.RESPONSE: st.builds(envelopes.response, numbers, st.integers(200, 999), fields, chunks, st.booleans()),
    envelopes.ANSWER: st.builds(envelopes.answer, numbers, st.integers(200, 999), fields, chunks),
    envelopes.CONTINUE: st.builds(envelopes.go_on, numbers),
    envelopes.DONE: st.builds(envelopes.done, numbers, faults),
    envelopes.DECLINED: st.builds(envelopes.declined, requests),
    envelopes.ACCEPT: st.builds(envelopes.accept, numbers, st.none() | st.text(max_size=20), fields),
    envelopes.MESSAGE: st.builds(envelopes.message, numbers, chunks | st.text(max_size=50)),
    envelopes.CLOSE: st.builds(envelopes.close, numbers, st.integers(1000, 4999), st.text(max_size=40)),
    envelopes.BREACH: st.builds(envelopes.breach, numbers, st.integers(1000, 4999), st.text(max_size=40)),
    envelopes.LOADED: st.builds(envelopes.loaded, st.sampled_from(["asgi", "wsgi"]), seconds),
    envelopes.READY: st.builds(envelopes.ready, seconds),
    envelopes.LIFESPAN_FAILED: st.builds(envelopes.lifespan_failed, st.text(max_size=200)),
    envelopes.PACE: st.builds(envelopes.pace, seconds),
    envelopes.FAILED: st.builds(
        envelopes.failed, st.sampled_from(["import", "lifespan", "lost"]), st.text(max_size=100)
    ),
    envelopes.GOODBYE: st.builds(envelopes.goodbye, st.lists(st.text(max_size=20), max_size=3)),
}

any_envelope = st.one_of(*MAKERS.values())


@given(st.lists(any_envelope, max_size=20))
def test_decode_is_the_inverse_of_encode(batch):
    item = encode(batch)
    assert type(item) is bytes
    assert decode(item) == batch


LARGE_BODY = bytes(range(256)) * (LARGE // 256 + 1)
sizes = st.sampled_from([0, 1, LARGE - 1, LARGE, LARGE + 1, len(LARGE_BODY)])
with_bodies = st.one_of(
    st.builds(lambda size: envelopes.body(1, LARGE_BODY[:size], True), sizes),
    st.builds(lambda size: envelopes.response(2, 200, (b"x: y\r\n", 0, None), LARGE_BODY[:size], False), sizes),
    st.builds(lambda size: envelopes.message(4, LARGE_BODY[:size]), sizes),
    st.builds(lambda size: envelopes.answer(3, 200, (b"", 0, size), LARGE_BODY[:size]), sizes),
    st.builds(lambda request, size: (*request[:9], LARGE_BODY[:size], *request[10:]), requests, sizes),
)


@given(st.lists(any_envelope | with_bodies, max_size=12))
def test_decode_is_the_inverse_of_encode_apart(batch):
    before = list(batch)
    item = encode_apart(batch)
    assert batch == before, "whoever holds it may have to send it again"
    assert type(item) is tuple
    assert all(type(part) is bytes for part in item)
    assert decode(item) == batch


@given(st.lists(with_bodies, max_size=6))
def test_large_bodies_cross_apart_and_small_ones_with_the_rest(batch):
    bodies = [
        envelope[{envelopes.REQUEST: 9, envelopes.BODY: 2, envelopes.MESSAGE: 2}.get(envelope[0], 4)]
        for envelope in batch
    ]
    assert list(encode_apart(batch)[1:]) == [body for body in bodies if len(body) > LARGE]


@given(sizes)
def test_a_large_text_crosses_with_the_rest(size):
    message = envelopes.message(1, "☃" * size)
    assert len(encode_apart([message])) == 1
    assert decode(encode_apart([message])) == [message]


@given(requests, sizes)
def test_a_request_that_is_declined_crosses_whole_however_large_it_is(request, size):
    request = (*request[:9], LARGE_BODY[:size], *request[10:])
    assert decode(encode_apart([envelopes.declined(request)])) == [envelopes.declined(request)]


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_says_what_it_is_and_whose_it_is(kind):
    @given(MAKERS[kind])
    def check(envelope):
        assert envelope[0] == kind
        assert isinstance(envelope[1], int)

    check()


def test_kinds_are_all_different_and_all_tested():
    names = ["REQUEST", "BODY", "CREDIT", "DISCONNECT", "RETIRE", "STOP", "RESPONSE", "ANSWER", "CONTINUE", "DONE"]
    names += ["DECLINED", "LOADED", "READY", "PACE", "FAILED", "GOODBYE", "ACCEPT", "MESSAGE"]
    names += ["CLOSE", "BREACH", "TIMED_OUT", "PING", "SPEAK", "ABANDONED", "PONG", "BUSY", "SEEN_TO"]
    names += ["LIFESPAN_FAILED", "REOPEN_LOGS", "ASK_STACK", "STACK"]
    kinds = [getattr(envelopes, name) for name in names]
    assert len(set(kinds)) == len(kinds)
    assert set(kinds) == set(MAKERS)
    numbers = {value for name, value in vars(envelopes).items() if name.isupper() and isinstance(value, int)}
    numbers -= {envelopes.CHUNK, envelopes.WINDOW, envelopes.LARGE, envelopes.CHUNK_COST}
    assert sorted(kinds) == sorted(numbers) == list(range(len(kinds))), "a kind was added; it needs a maker here"


def test_every_maker_is_documented():
    makers = [value for value in vars(envelopes).values() if inspect.isfunction(value)]
    makers = [maker for maker in makers if maker.__module__ == envelopes.__name__]
    assert makers
    assert [maker.__name__ for maker in makers if not maker.__doc__] == []


ITS_OWN = [envelopes.RETIRE, envelopes.STOP, envelopes.LOADED, envelopes.READY, envelopes.PACE, envelopes.FAILED]
ITS_OWN += [envelopes.GOODBYE, envelopes.PING, envelopes.PONG, envelopes.SPEAK, envelopes.ABANDONED]


@given(st.one_of(*(MAKERS[kind] for kind in ITS_OWN)))
def test_what_concerns_the_worker_itself_has_number_0(envelope):
    assert envelope[1] == 0


@given(requests)
def test_what_is_declined_can_be_given_to_another_as_it_was(request):
    (declined,) = decode(encode([envelopes.declined(request)]))
    assert declined[1] == request[1]
    assert declined[2] == request


def test_an_app_error_cannot_cross_as_an_object():
    with pytest.raises(ValueError, match="unmarshallable"):
        encode([envelopes.done(1, ValueError("x"))])


@given(st.integers(0, 4 * CHUNK))
def test_split_loses_nothing_and_cuts_small_enough(size):
    data = bytes(size)
    pieces = split(data)
    assert b"".join(pieces) == data
    assert all(len(piece) <= CHUNK for piece in pieces)
    assert len(pieces) == max(1, -(-size // CHUNK))


@given(st.binary(max_size=1000))
def test_split_leaves_a_small_body_alone(data):
    assert split(data) == [data]


@pytest.mark.parametrize("size", [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1])
def test_split_keeps_the_order(size):
    data = bytes(index % 251 for index in range(size))
    assert b"".join(split(data)) == data
    assert all(split(data))


@given(st.integers(0, 3 * CHUNK))
def test_cost_is_the_size_but_never_less_than_an_envelope_takes(size):
    assert cost(bytes(size)) == max(size, CHUNK_COST)


def test_a_window_holds_several_chunks():
    # otherwise one chunk would have to be given back before the next could leave, and neither side were ever busy
    assert WINDOW >= 2 * CHUNK
