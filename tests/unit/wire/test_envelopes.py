"""snakepit.wire.envelopes, snakepit.wire.codec: kinds are as their table says, what crosses comes out as it went in,
and bodies are cut and charged as promised."""

import inspect
import keyword
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakepit.http.fields import NONE
from snakepit.wire import envelopes
from snakepit.wire.codec import decode, encode, encode_apart
from snakepit.wire.envelopes import (
    CHUNK,
    CHUNK_COST,
    KIND,
    KINDS,
    LARGE,
    NUMBER,
    WINDOW,
    cost,
    position,
    split,
)

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
    envelopes.FILE: st.builds(
        envelopes.file,
        numbers,
        numbers,
        st.just(NONE),
        st.text() | st.tuples(numbers | st.text(), numbers, numbers, numbers, numbers),
    ),
    envelopes.FILE_REFUSED: st.builds(envelopes.file_refused, numbers),
    envelopes.FILE_SENT: st.builds(envelopes.file_sent, numbers),
    envelopes.RETIRE: st.builds(envelopes.retire),
    envelopes.STOP: st.builds(envelopes.stop),
    envelopes.TIMED_OUT: st.builds(envelopes.timed_out, numbers),
    envelopes.ASK_HEARTBEAT: st.builds(envelopes.ask_heartbeat),
    envelopes.RELEASE: st.builds(envelopes.release, numbers),
    envelopes.ABANDONED: st.builds(envelopes.abandoned),
    envelopes.REOPEN_LOGS: st.builds(envelopes.reopen_logs),
    envelopes.ASK_METRICS: st.builds(envelopes.ask_metrics),
    envelopes.ASK_LAG: st.builds(envelopes.ask_lag),
    envelopes.LAG: st.builds(envelopes.lag, st.lists(numbers, min_size=16, max_size=16), seconds),
    envelopes.METRICS: st.builds(
        envelopes.metrics,
        st.lists(
            st.tuples(
                *[st.text(max_size=9)] * 5,
                st.lists(
                    st.tuples(
                        st.text(max_size=9), st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9))), seconds
                    ),
                    max_size=3,
                ),
            ),
            max_size=3,
        ),
    ),
    envelopes.ASK_STACK: st.builds(envelopes.ask_stack),
    envelopes.STACK: st.builds(envelopes.stack, st.text(max_size=200)),
    envelopes.ASK_PROFILE: st.builds(envelopes.ask_profile, numbers, seconds),
    envelopes.PROFILE: st.builds(envelopes.profile, numbers, st.just([("a.py", 1, "f")]), st.just([("t", [0], 0.5)])),
    envelopes.ASK_STACKS: st.builds(envelopes.ask_stacks, numbers),
    envelopes.STACKS: st.builds(
        envelopes.stacks, numbers, st.lists(st.tuples(st.text(max_size=20), numbers), max_size=3), numbers
    ),
    envelopes.HEARTBEAT: st.builds(envelopes.heartbeat, seconds, seconds),
    envelopes.BLOCKED_BY: st.builds(envelopes.blocked_by, numbers),
    envelopes.INTERRUPTED: st.builds(envelopes.interrupted, numbers, st.text(max_size=200), st.booleans()),
    envelopes.RESPONSE: st.builds(envelopes.response, numbers, st.integers(200, 999), fields, chunks, st.booleans()),
    envelopes.ANSWER: st.builds(envelopes.answer, numbers, st.integers(200, 999), fields, chunks),
    envelopes.CONTINUE: st.builds(envelopes.continue_, numbers),
    envelopes.DONE: st.builds(envelopes.done, numbers, faults),
    envelopes.DECLINED: requests.map(lambda request: envelopes.declined(request[NUMBER], request)),
    envelopes.ACCEPT: st.builds(envelopes.accept, numbers, st.none() | st.text(max_size=20), fields),
    envelopes.MESSAGE: st.builds(envelopes.message, numbers, chunks | st.text(max_size=50)),
    envelopes.CLOSE: st.builds(envelopes.close, numbers, st.integers(1000, 4999), st.text(max_size=40)),
    envelopes.BREACH: st.builds(envelopes.breach, numbers, st.integers(1000, 4999), st.text(max_size=40)),
    envelopes.LOADED: st.builds(envelopes.loaded, st.sampled_from(["asgi", "wsgi"]), seconds),
    envelopes.READY: st.builds(envelopes.ready, seconds),
    envelopes.LIFESPAN_FAILED: st.builds(envelopes.lifespan_failed, st.text(max_size=200)),
    envelopes.CPU_PER_REQUEST: st.builds(envelopes.cpu_per_request, seconds),
    envelopes.FAILED: st.builds(
        envelopes.failed, st.sampled_from(["import", "lifespan", "lost"]), st.text(max_size=100), chunks
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


def with_body(request, size):
    at = position(envelopes.REQUEST, "body")
    return (*request[:at], LARGE_BODY[:size], *request[at + 1 :])


with_bodies = st.one_of(
    st.builds(lambda size: envelopes.body(1, LARGE_BODY[:size], True), sizes),
    st.builds(lambda size: envelopes.response(2, 200, (b"x: y\r\n", 0, None), LARGE_BODY[:size], False), sizes),
    st.builds(lambda size: envelopes.message(4, LARGE_BODY[:size]), sizes),
    st.builds(lambda size: envelopes.answer(3, 200, (b"", 0, size), LARGE_BODY[:size]), sizes),
    st.builds(with_body, requests, sizes),
)


@given(st.lists(any_envelope | with_bodies, max_size=12))
def test_decode_is_the_inverse_of_encode_apart(batch):
    before = list(batch)
    item = encode_apart(batch)
    assert batch == before, "its holder may have to send it again"
    assert type(item) is tuple
    assert all(type(part) is bytes for part in item)
    assert decode(item) == batch


@given(st.lists(with_bodies, max_size=6))
def test_large_bodies_cross_apart_and_small_ones_with_the_rest(batch):
    bodies = [envelope[position(envelope[KIND], KINDS[envelope[KIND]].body)] for envelope in batch]
    assert list(encode_apart(batch)[1:]) == [body for body in bodies if len(body) > LARGE]


@given(sizes)
def test_a_large_text_crosses_with_the_rest(size):
    message = envelopes.message(1, "☃" * size)
    assert len(encode_apart([message])) == 1
    assert decode(encode_apart([message])) == [message]


@given(requests, sizes)
def test_a_request_that_is_declined_crosses_whole_however_large_it_is(request, size):
    request = with_body(request, size)
    assert decode(encode_apart([envelopes.declined(request[NUMBER], request)])) == [
        envelopes.declined(request[NUMBER], request)
    ]


@pytest.mark.parametrize("kind", MAKERS)
def test_each_kind_says_what_it_is_and_whose_it_is(kind):
    @given(MAKERS[kind])
    def check(envelope):
        assert envelope[KIND] == kind
        assert isinstance(envelope[NUMBER], int)

    check()


def maker_of(kind):
    name = kind.name.lower()
    return getattr(envelopes, f"{name}_" if keyword.iskeyword(name) else name)


def test_kinds_are_all_in_the_table_and_all_tested():
    assert [kind.number for kind in KINDS] == list(range(len(KINDS)))
    assert [getattr(envelopes, kind.name) for kind in KINDS] == list(range(len(KINDS)))
    assert set(MAKERS) == set(range(len(KINDS))), "a kind was added; it needs a maker here"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_maker_takes_the_fields_of_its_kind_in_their_order(kind):
    fields = {name: f"its {name}" for name in inspect.signature(maker_of(kind)).parameters}
    assert tuple(fields) == kind.fields
    envelope = maker_of(kind)(**fields)
    of_exchange = kind.fields[:1] == ("exchange",)
    assert envelope == (kind.number, *([] if of_exchange else [0]), *fields.values())
    assert [envelope[position(kind.number, name)] for name in fields] == list(fields.values())
    assert "exchange" not in kind.fields[1:]
    assert not of_exchange or position(kind.number, "exchange") == NUMBER


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_the_table_says_all_of_a_kind(kind):
    assert kind.direction in (envelopes.TO_WORKER, envelopes.FROM_WORKER, envelopes.BOTH_WAYS)
    assert kind.meaning.endswith(".")
    assert kind.body in ("", *kind.fields)
    types = typing.get_type_hints(maker_of(kind))
    assert [name for name in kind.fields if types[name] in (bytes, str | bytes)] == (
        ["target", "body"] if kind.name == "REQUEST" else [kind.body] if kind.body else []
    ), "a field that may be large is to cross apart"


def test_every_maker_is_documented_and_in_the_table():
    makers = {value for value in vars(envelopes).values() if inspect.isfunction(value)}
    makers = {maker for maker in makers if inspect.signature(maker).return_annotation is envelopes.Envelope}
    assert makers == {maker_of(kind) for kind in KINDS}
    assert [maker.__name__ for maker in makers if not maker.__doc__] == []


@given(requests)
def test_what_is_declined_can_be_given_to_another_as_it_was(request):
    (declined,) = decode(encode([envelopes.declined(request[NUMBER], request)]))
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
