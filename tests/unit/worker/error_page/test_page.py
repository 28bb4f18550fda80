"""The page that shows an exception."""

from collections.abc import Callable

from snakepit.worker.error_page.page import MOST_FRAMES, page


def raised(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("nothing was raised")


def fail(message: str) -> None:
    password = "hunter" + "2"
    raise ValueError(message, len(password))


def test_everything_is_escaped() -> None:
    text = page(raised(lambda: fail("<script>alert(1)</script>"))).decode()
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_secrets_of_a_frame_are_masked() -> None:
    text = page(raised(lambda: fail("x"))).decode()
    assert f"hunter{1 + 1}" not in text
    assert "raise ValueError(message" in text


def test_causes_notes_and_groups_are_shown() -> None:
    error = ExceptionGroup("several", [KeyError("inner")])
    error.__cause__ = OSError("the cause")
    error.add_note("a <note>")
    error.__cause__.__cause__ = error  # a cycle
    text = page(error).decode()
    for part in ("several", "inner", "the cause", "a &lt;note&gt;"):
        assert part in text


def test_endless_recursion_is_bounded() -> None:
    def again() -> None:
        again()

    text = page(raised(again)).decode()
    assert "RecursionError" in text
    assert "more frames" in text
    assert text.count("in test_endless_recursion_is_bounded.&lt;locals&gt;.again") <= MOST_FRAMES


def test_missing_source_and_a_path_that_is_not_utf_8() -> None:
    code = compile("1 / 0", "/nowhere/\udcff.py", "exec")
    text = page(raised(lambda: exec(code))).decode()
    assert "The source is not to be had." in text
    assert "\\udcff.py" in text


def test_a_message_that_cannot_be_had() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    assert b"its repr raises RuntimeError" in page(Silent())


def test_the_expression_that_failed_is_underlined() -> None:
    text = page(raised(lambda: {"ß": 1}["é"])).decode()
    assert "<u>{&quot;ß&quot;: 1}[&quot;é&quot;]</u>" in text


def test_sections_and_text_are_escaped() -> None:
    told = "<script>alert(1)</script>"
    text = page(ValueError("x"), headline=told, sections=[(told, [(told, told)]), ("None", [])], text=told)
    assert b"<script" not in text
    assert text.count(b"&lt;script&gt;") == 5
    assert b"<h2>None" not in text


def test_a_path_is_escaped() -> None:
    code = compile("1 / 0", "/<script>/a.py", "exec")
    assert b"<script" not in page(raised(lambda: exec(code)))


def test_variables_can_be_left_out() -> None:
    error = raised(lambda: fail("unseen value"))
    assert b"<td>&#x27;unseen value&#x27;</td>" in page(error)
    assert b"<td>&#x27;unseen value&#x27;</td>" not in page(error, variables=False)


def test_notes_that_are_no_notes() -> None:
    error = ValueError("x")
    error.__notes__ = 3  # type: ignore[assignment]
    assert b"ValueError" in page(error)
