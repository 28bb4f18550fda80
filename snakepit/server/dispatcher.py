"""Which worker gets an exchange, and who waits. Pure: it takes facts and returns the assignments to carry out.

Least loaded first, in constant time: workers with room stand in buckets by the number of exchanges they have, and
the lowest bucket that is not empty is remembered. Within a bucket the one that waited longest comes first.
When every worker is full, exchanges wait in one line, oldest first, so that none waits behind a busy worker while
another has room. The line is bounded; who finds it full is refused.
"""

from collections.abc import Hashable


class Dispatcher[W: Hashable, X: Hashable]:
    """The policy for one pool of workers (W) and their exchanges (X).

    Args:
        line_limit: how many exchanges may wait.
    """

    def __init__(self, line_limit: int) -> None:
        self._line_limit = line_limit
        self._line: dict[X, None] = {}  # ordered, and an exchange whose client goes can leave from the middle
        self._capacity: dict[W, int] = {}
        self._load: dict[W, int] = {}
        self._buckets: list[dict[W, None]] = [{}]
        self._lowest = 0  # no bucket below this one holds a worker

    def __repr__(self) -> str:
        loads = ", ".join(f"{worker} {load}/{self._capacity[worker]}" for worker, load in self._load.items())
        return f"<Dispatcher [{loads}] waiting {len(self._line)}>"

    @property
    def waiting(self) -> int:
        """Exchanges in the line."""
        return len(self._line)

    def load(self, worker: W) -> int:
        """Exchanges that a worker has."""
        return self._load[worker]

    def add(self, worker: W, capacity: int) -> list[tuple[W, X]]:
        """A worker became ready for `capacity` exchanges at once; returns what it gets from the line."""
        self._capacity[worker] = capacity
        self._load[worker] = 0
        self._enter(worker, 0)
        return self._serve_line()

    def remove(self, worker: W) -> None:
        """A worker gets nothing more. What it has must be submitted again or given up by the caller."""
        load = self._load.pop(worker, None)
        if load is not None:
            del self._capacity[worker]
            if load < len(self._buckets):
                self._buckets[load].pop(worker, None)

    def submit(self, exchange: X) -> W | None:
        """Find a worker for an exchange. None: it waits in the line, or was refused if it is not `in_line`."""
        worker = self._least_loaded()
        if worker is None:
            if len(self._line) < self._line_limit:
                self._line[exchange] = None
            return None
        self._take(worker)
        return worker

    def in_line(self, exchange: X) -> bool:
        """Whether an exchange waits."""
        return exchange in self._line

    def withdraw(self, exchange: X) -> None:
        """An exchange in the line is given up."""
        self._line.pop(exchange, None)

    def finished(self, worker: W) -> list[tuple[W, X]]:
        """A worker is through with one exchange; returns who gets what from the line now."""
        load = self._load.get(worker)
        if load is None:
            return []  # removed meanwhile
        if load < len(self._buckets):  # a full worker stands in no bucket, and its load may have none
            self._buckets[load].pop(worker, None)
        self._load[worker] = load - 1
        self._enter(worker, load - 1)
        return self._serve_line() if self._line else []

    def _serve_line(self) -> list[tuple[W, X]]:
        assignments: list[tuple[W, X]] = []
        while self._line:
            worker = self._least_loaded()
            if worker is None:
                break
            exchange = next(iter(self._line))
            del self._line[exchange]
            self._take(worker)
            assignments.append((worker, exchange))
        return assignments

    def _least_loaded(self) -> W | None:
        while self._lowest < len(self._buckets):
            bucket = self._buckets[self._lowest]
            if bucket:
                return next(iter(bucket))
            self._lowest += 1
        return None

    def _take(self, worker: W) -> None:
        load = self._load[worker]
        del self._buckets[load][worker]
        self._load[worker] = load + 1
        if load + 1 < self._capacity[worker]:
            self._enter(worker, load + 1)

    def _enter(self, worker: W, load: int) -> None:
        while len(self._buckets) <= load:
            self._buckets.append({})
        self._buckets[load][worker] = None
        if load < self._lowest:
            self._lowest = load
