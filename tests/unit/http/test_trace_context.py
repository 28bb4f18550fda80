"""snakepit.http.trace_context: which traceparent fields count."""

import pytest

from snakepit.http.trace_context import TraceParent, trace_parent

TRACE, SPAN = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
GOOD = b"00-%s-%s-01" % (TRACE, SPAN)


def found(*values):
    return trace_parent([(b"host", b"t"), *((b"traceparent", value) for value in values)])


def test_a_field():
    assert found(GOOD) == TraceParent(TRACE.decode(), SPAN.decode(), True)
    assert not found(GOOD[:-1] + b"0").sampled
    assert not found(GOOD[:-2] + b"fe").sampled
    assert found(GOOD[:-2] + b"ff").sampled


def test_later_versions():
    assert found(b"01" + GOOD[2:] + b"-more").trace_id == TRACE.decode()
    assert found(b"cc" + GOOD[2:]).span_id == SPAN.decode()


@pytest.mark.parametrize(
    "values",
    [
        (),
        (GOOD, GOOD),
        (b"",),
        (GOOD + b"-more",),
        (b"ff" + GOOD[2:],),
        (GOOD.upper(),),
        (b"00-%s-%s-01" % (b"0" * 32, SPAN),),
        (b"00-%s-%s-01" % (TRACE, b"0" * 16),),
        (b"00-%s-%s" % (TRACE, SPAN),),
        (b" " + GOOD,),
        (b"01" + GOOD[2:] + b"more",),
        (GOOD.replace(b"a", b"g"),),
    ],
)
def test_fields_that_do_not_count(values):
    assert found(*values) is None
