"""Values on an error page."""

from snakepit.worker.error_page.values import LONGEST, MASK, MOST, is_secret, shown, shown_locals


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
