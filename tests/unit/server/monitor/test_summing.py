"""server.monitor.summing: what becomes of the metrics of several workers."""

import pytest

from snakepit.server.monitor.summing import Sum, summed, with_ended, with_label


def metric(kind, *samples, name="a", mode=""):
    return name, "Some.", kind, "", mode, [(name + end, list(labels.items()), value) for end, labels, value in samples]


def samples(found):
    return {(name, *labels): value for (name, labels), value in found.samples.items()}


def of(*metrics):
    """The only metric that comes of these, of workers 1, 2 and so on."""
    [found] = summed((str(number), [metric]) for number, metric in enumerate(metrics, 1)).values()
    assert isinstance(found, Sum)
    return samples(found)


def test_counters():
    first = metric("counter", ("_total", {"x": "1"}, 2.0), ("_created", {"x": "1"}, 50.0), ("_total", {"x": "2"}, 1.0))
    second = metric("counter", ("_total", {"x": "1"}, 5.0), ("_created", {"x": "1"}, 40.0))
    assert of(first, second) == {
        ("a_total", ("x", "1")): 7.0,
        ("a_created", ("x", "1")): 40.0,
        ("a_total", ("x", "2")): 1.0,
    }


@pytest.mark.parametrize("kind", ["histogram", "summary"])
def test_what_has_several_samples(kind):
    one = metric(kind, ("_bucket", {"le": "1.0"}, 1.0), ("_bucket", {"le": "+Inf"}, 2.0), ("_sum", {}, 3.5))
    assert list(of(one, one).items()) == [
        (("a_bucket", ("le", "1.0")), 2.0),
        (("a_bucket", ("le", "+Inf")), 4.0),
        (("a_sum",), 7.0),
    ]


@pytest.mark.parametrize(
    ("mode", "value"), [("sum", 5.0), ("livesum", 5.0), ("min", 2.0), ("livemin", 2.0), ("max", 3.0), ("livemax", 3.0)]
)
def test_gauges_that_come_together(mode, value):
    gauges = [metric("gauge", ("", {"x": "1"}, value), mode=mode) for value in (2.0, 3.0)]
    assert of(*gauges) == {("a", ("x", "1")): value}


@pytest.mark.parametrize("mode", ["all", "liveall", "mostrecent", "livemostrecent", "new"])
def test_gauges_of_each(mode):
    gauges = [metric("gauge", ("", {"worker": "x"}, value), mode=mode) for value in (2.0, 3.0)]
    assert of(*gauges) == {
        ("a", ("exported_worker", "x"), ("worker", "1")): 2.0,
        ("a", ("exported_worker", "x"), ("worker", "2")): 3.0,
    }


def test_info_is_the_same_everywhere():
    info = metric("info", ("_info", {"version": "1"}, 1.0))
    assert of(info, info) == {("a_info", ("version", "1")): 1.0}


def test_a_metric_of_another_type_is_left_out():
    assert of(metric("counter", ("_total", {}, 2.0)), metric("gauge", ("", {}, 3.0))) == {("a_total",): 2.0}


def test_what_workers_leave_that_have_ended():
    counter, gauge = metric("counter", ("_total", {}, 2.0)), metric("gauge", ("", {}, 9.0), name="b", mode="sum")
    ended = with_ended(with_ended([], [counter, gauge]), [counter])
    assert ended == [metric("counter", ("_total", {}, 4.0))]
    found = summed([("1", [counter, gauge]), ("", ended)])
    assert (samples(found["a"]), samples(found["b"])) == ({("a_total",): 6.0}, {("b",): 9.0})


def test_a_label_more():
    assert with_label([("a", "1"), ("app", "x")], "app", "/") == (("a", "1"), ("exported_app", "x"), ("app", "/"))
