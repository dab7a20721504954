"""Reading the log files that a container runtime writes for the CRI.

A line is `2006-01-02T15:04:05.000000000Z stdout F text`; tag P marks a piece of a longer line, F
its end. Options mean what they mean in Kubernetes' PodLogOptions: the tail counts lines of the
file, and the limit cuts the last line where it falls.
Source: the CRI's "Logging" design and k8s.io/cri-client `pkg/logs`.
"""

import asyncio
import logging
import os
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

from base.clock import Clock

logger = logging.getLogger("nodeagent.logs")

_BLOCK_BYTES: Final = 64 * 1024
# containerd cuts lines at 16 KB: a file with a longer one was not written by a runtime.
_LINE_MAX_BYTES: Final = 1024 * 1024
_POLL_S: Final = 0.1
_TIMESTAMP = re.compile(
    rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


@dataclass(frozen=True)
class LogOptions:
    """PodLogOptions without what names the log; None is no bound."""

    follow: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since_ns: int | None = None


class LineFormatter:
    """Raw lines in, what the user sees out. Pure; remembers the limit and open lines."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._remaining_bytes = options.limit_bytes
        self._at_line_start = True
        self._second: tuple[bytes, int] = (b"", 0)

    @property
    def is_full(self) -> bool:
        return self._remaining_bytes is not None and self._remaining_bytes <= 0

    def format(self, raw: bytes) -> bytes:
        """`raw` is whole lines, except at the very end of a log that is not followed."""
        parts = []
        for line in _lines(raw):
            text = self._line(line)
            if text:
                parts.append(self._within_limit(text))
            if self.is_full:
                break
        return b"".join(parts)

    def _line(self, line: bytes) -> bytes:
        fields = line.split(b" ", 3)
        if len(fields) != 4 or fields[1] not in (b"stdout", b"stderr"):
            logger.debug("skipped a line that is not of the CRI's format")
            return b""
        timestamp, _, tags, text = fields
        if self._options.since_ns is not None and self._is_before(timestamp):
            return b""
        if tags.partition(b":")[0] == b"P":
            text = text.removesuffix(b"\n")
        prefixed = text
        if self._options.timestamps and self._at_line_start:
            prefixed = _nine_digits(timestamp) + b" " + text
        self._at_line_start = not text or text.endswith(b"\n")
        return prefixed

    def _within_limit(self, text: bytes) -> bytes:
        if self._remaining_bytes is None:
            return text
        text = text[: self._remaining_bytes]
        self._remaining_bytes -= len(text)
        return text

    def _is_before(self, timestamp: bytes) -> bool:
        match = _TIMESTAMP.fullmatch(timestamp)
        if match is None:
            return True
        second, fraction, offset = match.groups()
        if self._second[0] != second + offset:
            whole = datetime.fromisoformat((second + offset).decode()).timestamp()
            self._second = (second + offset, int(whole))
        at_ns = self._second[1] * 1_000_000_000 + int((fraction or b"0").ljust(9, b"0"))
        return at_ns < (self._options.since_ns or 0)


def _lines(raw: bytes) -> list[bytes]:
    """Split after newlines alone: bytes.splitlines would also split at carriage returns."""
    *lines, last = raw.split(b"\n")
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _nine_digits(timestamp: bytes) -> bytes:
    """RFC 3339 with exactly nine digits, as Kubernetes prints it; containerd drops zeros."""
    match = _TIMESTAMP.fullmatch(timestamp)
    if match is None:
        return timestamp
    second, fraction, offset = match.groups()
    return second + b"." + (fraction or b"").ljust(9, b"0") + offset


async def tail_start(file: BinaryIO, lines: int) -> int:
    """Where the last `lines` lines begin, found from the end, block by block."""
    end = file.seek(0, os.SEEK_END)
    if lines == 0 or end == 0:
        return end
    # The newline that ends the last line does not begin another one.
    at = end - 1
    wanted = lines
    while at > 0:
        start = max(0, at - _BLOCK_BYTES)
        file.seek(start)
        block = file.read(at - start)
        found = block.count(b"\n")
        if found >= wanted:
            return start + _nth_newline_from_end(block, wanted) + 1
        wanted -= found
        at = start
        await asyncio.sleep(0)
    return 0


def _nth_newline_from_end(block: bytes, n: int) -> int:
    at = len(block)
    for _ in range(n):
        at = block.rindex(b"\n", 0, at)
    return at


class _LogFile:
    """The file behind a path that log rotation may rename and replace."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next: BinaryIO | None = None
        self.file: BinaryIO = path.open("rb")

    def read(self) -> bytes:
        data = self.file.read(_BLOCK_BYTES)
        if data or self._next is None:
            return data
        self.file.close()
        self.file, self._next = self._next, None
        return self.file.read(_BLOCK_BYTES)

    def look_for_rotation(self) -> bool:
        """Whether there is a new file; the old one is then read to its end before it."""
        mine = os.fstat(self.file.fileno())
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        if (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino):
            self._next = self._path.open("rb")
            return True
        if now.st_size < self.file.tell():
            self.file.seek(0)
            return True
        return False

    def close(self) -> None:
        self.file.close()
        if self._next is not None:
            self._next.close()


async def read_log(
    path: Path, options: LogOptions, is_running: Callable[[], bool], clock: Clock
) -> AsyncGenerator[bytes, None]:
    """What the user asked to see, piece by piece; with `follow` until the container has ended.

    Raises OSError where the file cannot be read.
    """
    formatter = LineFormatter(options)
    log = _LogFile(path)
    try:
        if options.tail_lines is not None:
            log.file.seek(await tail_start(log.file, options.tail_lines))
        rest = b""
        async for data in _blocks(log, options.follow, is_running, clock):
            lines, newline, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _LINE_MAX_BYTES:
                rest = b""
            if text := formatter.format(lines + newline):
                yield text
            if formatter.is_full:
                return
        if text := formatter.format(rest):
            yield text
    finally:
        log.close()


async def _blocks(
    log: _LogFile, follow: bool, is_running: Callable[[], bool], clock: Clock
) -> AsyncGenerator[bytes, None]:
    while True:
        # Asked before the read: what an ended container wrote is all there.
        goes_on = follow and is_running()
        while data := log.read():
            yield data
        if follow and log.look_for_rotation():
            continue
        if not goes_on:
            return
        await clock.sleep(_POLL_S)
