"""What a worker has told of itself."""

from snakepit.wire.envelopes import AppMetric, Copy, Envelope


class WorkerReport:
    """Keeps what a worker tells when it has imported the app, when it is ready, and when it ends."""

    def __init__(self) -> None:
        self.interface = ""  # "asgi" or "wsgi", once the app is imported
        self.import_seconds = 0.0
        self.startup_seconds = 0.0
        self.copies: list[Copy] = []  # C extensions that it has private copies of
        self.notes: list[str] = []  # what the app uses that may make trouble, as lines for the log
        self.frameworks: list[str] = []  # those of the app that have to be heeded
        self.daemon_threads: list[str] = []  # of the app, that outlive the worker
        self.metrics: list[AppMetric] = []  # that the app keeps
        self.metrics_told = 0  # how often it has told them
        self.loop_lag: tuple[list[int], float] | None = None  # of an ASGI app, as in a LAG; None: it has not said
        self.said_goodbye = False
        self.error_page = b""  # of why it could not start, see snakepit.errors.AppError

    def loaded(self, envelope: Envelope) -> None:
        """Keep what a LOADED says."""
        _, _, self.interface, self.import_seconds, self.copies, self.notes, self.frameworks = envelope

    def ready(self, envelope: Envelope) -> None:
        """Keep what a READY says."""
        _, _, self.startup_seconds = envelope

    def told_metrics(self, envelope: Envelope) -> None:
        """Keep what a METRICS says."""
        _, _, self.metrics = envelope
        self.metrics_told += 1

    def told_lag(self, envelope: Envelope) -> None:
        """Keep what a LAG says."""
        _, _, counts, total = envelope
        self.loop_lag = counts, total

    def said_farewell(self, envelope: Envelope) -> None:
        """Keep what a GOODBYE says."""
        _, _, self.daemon_threads, self.copies = envelope
        self.said_goodbye = True
