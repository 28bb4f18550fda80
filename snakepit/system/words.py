"""Words for people."""


def counted(count: int, noun: str) -> str:
    """Return a number of things, such as "1 worker" and "2 workers"; for nouns whose plural is made with an s."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def capitalized(words: object) -> str:
    """Return words with a capital letter at their beginning, and the others as they are."""
    text = str(words)
    return text[:1].upper() + text[1:]


def mebibytes(size: float) -> int:
    """Return a number of bytes in MiB."""
    return round(size / 2**20)


def printable(text: str) -> str:
    """Return a text without what would move a terminal's cursor: clients choose paths."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
