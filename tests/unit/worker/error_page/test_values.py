"""Values on an error page."""

import re

from snakepit.errors import RequestTimeout
from snakepit.worker.error_page.values import (
    LONGEST,
    MASK,
    MOST,
    Allowance,
    is_secret,
    masked_query,
    shown,
    shown_locals,
)


class Hostile:
    def __repr__(self) -> str:
        raise RecursionError


class Long:
    def __repr__(self) -> str:
        return "x" * 10**6


def test_names_of_secrets() -> None:
    for name in ("password", "SECRET_KEY", "access_token", "X-Api-Key", b"Authorization", b"set-cookie", "key"):
        assert is_secret(name), name
    for name in ("keyboard", "monkey", "path", 1, None, b"accept"):
        assert not is_secret(name), name


def test_a_repr_that_raises_is_told_of() -> None:
    assert shown(Hostile()) == "<Hostile: its repr raises RecursionError>"


def test_what_is_shown_of_a_value_is_bounded() -> None:
    assert len(shown(Long())) <= LONGEST + 1
    assert len(shown(["y" * 10**5] * 10**5)) <= LONGEST + 1


def test_secrets_are_masked_in_dicts_too() -> None:
    assert shown({"user": "ann", "password": "hunter2"}) == f"{{'password': {MASK}, 'user': 'ann'}}"
    nested = shown([{b"cookie": "hunter2"}])
    assert "hunter2" not in nested
    assert MASK in nested


def test_locals_are_masked_and_bounded_in_number() -> None:
    assert shown_locals({"token": "t", "n": 1}) == [("token", MASK), ("n", "1")]
    many = shown_locals({f"v{n}": n for n in range(MOST + 7)})
    assert len(many) == MOST + 1
    assert many[-1] == ("…", "7 more")


def test_secrets_are_masked_in_the_repr_of_other_objects() -> None:
    class Settings:
        def __repr__(self) -> str:
            return "Settings(user='ann', db_password='hunter2', env={'API_TOKEN': 'hunter3'})"

    text = shown(Settings())
    assert "ann" in text
    assert "hunter" not in text


def test_secrets_are_masked_in_pairs_texts_and_addresses() -> None:
    class Headers:
        def __repr__(self) -> str:
            return "Headers(raw=[(b'cookie', b'hunter2'), (b'host', b'h')])"

    for value in (
        [(b"authorization", b"Bearer hunter2"), (b"host", b"h")],
        {"headers": [["x-token", "hunter2"]]},
        b'{"password": "hunter2", "user": "ann"}',
        "password=hunter2&user=ann",
        "postgres://ann:hunter2@db/shop",
        ["redis://:hunter2@db"],
        Headers(),
    ):
        assert "hunter2" not in shown(value), value
        assert MASK in shown(value), value


def test_the_rest_of_a_long_text_is_not_looked_at() -> None:
    class Text(str):
        __slots__ = ()

    for value in ("é" * 10**6, b"x" * 10**6, bytearray(10**6), Text("x" * 10**6)):
        assert len(shown(value)) < LONGEST


def test_a_query_is_masked_by_its_names() -> None:
    assert masked_query("/a?token=1&b=2&key&c") == f"/a?token={MASK}&b=2&key&c"
    assert masked_query("/token=1") == "/token=1"


def test_what_is_allowed_is_not_exceeded() -> None:
    many = {f"v{n}": "x" * 300 for n in range(10)}
    allowance = Allowance(characters=700)
    assert [name for name, _ in shown_locals(many, allowance)] == ["v0", "v1", "v2", "…"]
    assert shown_locals(many, allowance) == [("…", "10 more")]
    assert shown_locals(many, Allowance(seconds=0.0)) == [("…", "10 more")]


def test_no_more_values_once_one_was_interrupted() -> None:
    class Hanging:
        def __repr__(self) -> str:
            raise RequestTimeout

    allowance = Allowance()
    assert shown_locals({"a": Hanging(), "b": 1}, allowance) == [
        ("a", "<Hanging: its repr raises RequestTimeout>"),
        ("…", "1 more"),
    ]


def test_of_a_module_only_what_varies() -> None:
    found = {"__name__": "m", "re": re, "f": shown, "C": Hostile, "len": len, "limit": 3}
    assert shown_locals(found, of_module=True) == [("limit", "3")]
