"""What a command shows of its progress: a line per step with the seconds it took."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from cluster import supervisor


class Steps:
    """Prints steps as they are done; on a terminal also the one that is under way."""

    def __init__(
        self, out: TextIO | None = None, now_s: Callable[[], float] = supervisor.now_s
    ) -> None:
        self._out = out or sys.stdout
        self._now_s = now_s
        self._started_s = now_s()
        self._live = self._out.isatty()

    @property
    def total_s(self) -> float:
        return self._now_s() - self._started_s

    @contextmanager
    def step(self, text: str) -> Iterator["Step"]:
        """A step that is under way as `text`; what it says when done may name what it found."""
        step = Step(text)
        began_s = self._now_s()
        self._show(f"         {text} ...")
        try:
            yield step
        except BaseException:
            self._show("")
            raise
        self._show("")
        print(f"{self._now_s() - began_s:6.1f} s  {step.text}", file=self._out, flush=True)

    def note(self, text: str) -> None:
        """Something worth a line while a step is under way."""
        self._show("")
        print(f"          {text}", file=self._out, flush=True)

    def _show(self, text: str) -> None:
        """Write over the line that the last call left open."""
        if self._live:
            self._out.write(f"\r\x1b[K{text}")
            self._out.flush()


class Step:
    """One step; `text` may be changed until it is done."""

    def __init__(self, text: str) -> None:
        self.text = text
