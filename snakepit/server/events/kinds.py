"""The kinds of events, and who asks for changes: closed vocabularies, which docs/reference/events.md explains."""

from enum import StrEnum


class Kind(StrEnum):
    """What happened. `level` says whether somebody should look at it: info, warning or error."""

    level: str

    def __new__(cls, name: str, level: str) -> "Kind":
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.level = level
        return kind

    START = "start", "info"
    RESTARTED = "restarted", "error"
    LISTENING = "listening", "info"
    STOPPING = "stopping", "info"
    STOPPED = "stopped", "info"
    HAND_OVER = "hand-over", "info"
    HANDED_OVER = "handed-over", "info"
    NOT_HANDED_OVER = "not-handed-over", "error"
    WORKER_READY = "worker-ready", "info"
    WORKER_REPLACED = "worker-replaced", "info"
    WORKER_LOST = "worker-lost", "error"
    WORKER_FAILED = "worker-failed", "error"
    WORKER_HUNG = "worker-hung", "error"
    WORKER_ABANDONED = "worker-abandoned", "warning"
    RELOAD = "reload", "info"
    RELOADED = "reloaded", "info"
    NOT_RELOADED = "not-reloaded", "error"
    RECONFIGURED = "reconfigured", "info"
    NOT_RECONFIGURED = "not-reconfigured", "error"
    SCALED = "scaled", "info"
    REFUSED = "refused", "warning"
    INTERRUPTED = "interrupted", "warning"
    APP_STARTED = "app-started", "info"
    APP_FAILED = "app-failed", "error"
    APP_STOPPED = "app-stopped", "info"
    APP_RETIRED = "app-retired", "info"
    CERTIFICATE = "certificate", "info"
    CERTIFICATE_FAILED = "certificate-failed", "warning"


class By(StrEnum):
    """Who asked for a change. `words` are for people."""

    words: str

    def __new__(cls, name: str, words: str) -> "By":
        by = str.__new__(cls, name)
        by._value_ = name
        by.words = words
        return by

    COMMAND = "command", "by a command"
    SIGNAL = "signal", "by a signal"
    FILES = "files", "since files changed"
    DASHBOARD = "dashboard", "from the dashboard"
    PROGRAM = "program", "by the program"
