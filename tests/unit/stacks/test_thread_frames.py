"""snakepit.stacks.thread_frames: frames of other threads, as they were at one moment."""

import sys
import threading

from waiting import PATIENCE, wait_until

from snakepit.stacks.thread_frames import innermost, stacks, thread_of


def three(entered, over):
    entered.set()
    while not over.is_set():
        list(number for number in range(50))  # noqa: C400 (the generator is what this is about)


def outer(entered, over):
    three(entered, over)


def test_the_calls_of_a_thread_are_whole_while_it_goes_on():
    """A generator has no caller any more when it is over: a thread that went on meanwhile would have lost its calls."""
    entered, over, before = threading.Event(), threading.Event(), sys.getswitchinterval()
    thread = threading.Thread(target=outer, args=(entered, over))
    thread.start()
    sys.setswitchinterval(0.000_01)
    try:
        assert entered.wait(PATIENCE)
        seen = set()

        def look():
            for frames, lines in stacks():
                assert len(frames) == len(lines)
                names = [frame.f_code.co_name for frame in frames]
                if "outer" in names or "<genexpr>" in names:
                    assert names[-5:] == ["three", "outer", "run", "_bootstrap_inner", "_bootstrap"]
                    assert thread_of(frames[-1]) is thread
                    seen.update(names)
            return {"three", "<genexpr>"} <= seen

        wait_until(look, "the generator was seen")
        for _ in range(300):
            look()
    finally:
        sys.setswitchinterval(before)
        over.set()
        thread.join(PATIENCE)


def test_lines_and_no_frame_of_the_calling_thread():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        frames, lines = wait_until(lambda: next((found for found in stacks() if len(found[0]) > 4), None))
        assert lines[-1] > frames[-1].f_code.co_firstlineno
        assert sys._getframe() not in {call for calls, _ in stacks() for call in calls}
        assert frames[0] in innermost()
    finally:
        over.set()
        thread.join(PATIENCE)


def test_no_reference_is_left():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        [frame] = wait_until(
            lambda: [found for found in innermost() if found.f_code is threading.Condition.wait.__code__]
        )
        before = sys.getrefcount(frame)
        for _ in range(50):
            stacks()
            innermost()
        assert sys.getrefcount(frame) == before
    finally:
        over.set()
        thread.join(PATIENCE)
