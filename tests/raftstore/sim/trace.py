"""What happened, in order: a few lines to read, and a hash that tells two runs apart."""

from collections import deque
from collections.abc import Callable
from hashlib import sha256

SHOWN_LINES = 400


class Violation(Exception):
    """The cluster did what it must not. Found while it runs, or by the oracle afterwards."""


class Trace:
    """`stamp` counts up within one moment, so that what came first is told."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._hash = sha256()
        self._last_stamp_s = -1.0
        self.lines: deque[str] = deque(maxlen=SHOWN_LINES)

    def say(self, text: str) -> None:
        line = f"{self._now_s():11.6f} {text}"
        self._hash.update(line.encode() + b"\n")
        self.lines.append(line)

    def stamp(self) -> float:
        self._last_stamp_s = max(self._now_s(), self._last_stamp_s + 1e-9)
        return self._last_stamp_s

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()
