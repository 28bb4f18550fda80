"""worker.asgi.heads: heads of responses, and which of them are kept."""

import http

import pytest

from snakepit.errors import LocalProtocolError
from snakepit.http.fields import NONE, render
from snakepit.worker.asgi import heads
from snakepit.worker.asgi.heads import NOTHING, head_of

PLAIN = (b"content-type", b"text/plain")


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(heads, "_heads", {})
    monkeypatch.setattr(heads, "_made", 0)


def message(headers=(PLAIN,), status=200):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def is_kept(headers):
    """Whether two messages, made one after the other, have the very same head."""
    return head_of(message(headers), False) is head_of(message(headers), False)


def test_a_head_is_made_once_for_all_that_say_the_same():
    copies = [message([tuple(bytes(bytearray(part)) for part in PLAIN)]) for _ in range(2)]
    first, second = (head_of(copy, False) for copy in copies)
    assert first is second
    assert first == (200, render([PLAIN]), None)


@pytest.mark.parametrize("headers", [(), None], ids=["empty", "none"])
def test_a_head_without_fields(headers):
    assert head_of({"type": "http.response.start", "status": 200, "headers": headers}, False) == (200, NONE, None)
    assert head_of({"type": "http.response.start", "status": 200}, False) == (200, NONE, None)


@pytest.mark.parametrize(
    ("status", "headers", "is_head", "length"),
    [
        (200, [PLAIN], False, None),
        (200, [(b"Content-Length", b"5")], False, 5),
        (200, [(b"Content-Length", b"5")], True, NOTHING),
        (200, [PLAIN], True, NOTHING),
        (204, [PLAIN], False, NOTHING),
        (304, [(b"Content-Length", b"5")], False, NOTHING),
    ],
)
def test_the_length_that_a_body_has_to_have(status, headers, is_head, length):
    for _ in range(2):
        assert head_of(message(headers, status), is_head) == (status, render(headers), length)


def test_heads_that_differ_in_anything_are_not_taken_for_each_other():
    messages = [
        (message(headers, status), is_head)
        for headers in ([PLAIN], [(b"content-type", b"text/html")], [(b"Content-Type", b"text/plain")], [PLAIN, PLAIN])
        for status in (200, 404)
        for is_head in (False, True)
    ]
    first, second = ([head_of(*one) for one in messages] for _ in range(2))
    assert first == second
    assert len({id(head) for head in first}) == len(messages)


def test_a_list_that_the_app_goes_on_changing():
    headers = [PLAIN]
    sent = {"type": "http.response.start", "status": 200, "headers": headers}
    assert head_of(sent, False)[1] == render([PLAIN])
    headers.append((b"x", b"1"))
    assert head_of(sent, False)[1] == render([PLAIN, (b"x", b"1")])


@pytest.mark.parametrize("form", [list, lambda pair: tuple(map(bytearray, pair))], ids=["list", "bytearrays"])
def test_what_can_change_is_read_each_time(form):
    changing = form([b"x", b"1"])
    for value in (b"1", b"2"):
        if isinstance(changing, list):
            changing[1] = value
        else:
            changing[1][:] = value
        assert head_of(message([changing]), False)[1] == render([(b"x", value)])


def test_a_view_is_read_each_time():
    """It can be looked up like bytes; what it shows may be of a file, and change."""
    view = memoryview(b"1")
    assert hash(view) == hash(b"1")
    assert not is_kept([(b"x", view)])
    assert head_of(message([(b"x", view)]), False)[1] == render([(b"x", b"1")])


class Header:
    """A field whose value the app may set; it is looked up by what it is, and not by what it says."""

    def __init__(self, value):
        self.value = value

    def __iter__(self):
        return iter((b"x", self.value))


def test_objects_that_stand_for_pairs_are_read_each_time():
    header = Header(b"1")
    assert head_of(message([header]), False)[1] == render([(b"x", b"1")])
    header.value = b"2"
    assert head_of(message([header]), False)[1] == render([(b"x", b"2")])


def test_headers_that_can_be_read_once():
    pairs = ([name, value] for name, value in [PLAIN])
    assert head_of({"status": 200, "headers": pairs}, False)[1] == render([PLAIN])


@pytest.mark.parametrize("status", [200.0, True, "200"])
def test_a_status_of_another_type_is_no_better_for_one_that_equals_it(status):
    head_of(message(), False)
    with pytest.raises(LocalProtocolError, match="status must be a number"):
        head_of(message(status=status), False)


def test_a_status_of_the_standard_library_becomes_a_number():
    first, second = (head_of(message(status=http.HTTPStatus.OK), False) for _ in range(2))
    assert first is second
    assert type(first[0]) is int


def test_what_can_not_be_sent_is_refused_each_time():
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="illegal response"):
            head_of(message([(b"x", b"a\r\nb: c")]), False)


@pytest.mark.parametrize(("size", "kept"), [(0, True), (heads._KEPT_SIZE, False)])
def test_long_heads_are_not_kept(size, kept):
    assert is_kept([(b"x", b"a" * size)]) is kept


def test_heads_are_not_kept_without_end():
    for number in range(2 * heads._HEADS_KEPT + heads._MADE_BEFORE_NEW_ONES):
        headers = [(b"x", b"%d" % number)]
        assert head_of(message(headers), False)[1] == render(headers)
        assert len(heads._heads) <= heads._HEADS_KEPT


def test_a_head_that_comes_often_is_kept_among_others_that_come_once():
    made = 0
    before = None
    for number in range((heads._HEADS_KEPT + heads._MADE_BEFORE_NEW_ONES) * 3 // 2):
        head_of(message([(b"set-cookie", b"%d" % number)]), False)
        head = head_of(message(), False)
        made += head is not before
        before = head
    assert made == 2, "at first, and when all were forgotten"


def test_new_heads_are_kept_in_place_of_those_that_came_once():
    for number in range(heads._HEADS_KEPT):
        head_of(message([(b"set-cookie", b"%d" % number)]), False)
    assert not is_kept([PLAIN])
    for number in range(heads._MADE_BEFORE_NEW_ONES):
        head_of(message([(b"set-cookie", b"x%d" % number)]), False)
    assert is_kept([PLAIN])
