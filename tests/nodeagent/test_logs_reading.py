"""Reading CRI log files: formatting as a table, files and following on virtual time."""

import asyncio
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from base.clock import LoopClock
from nodeagent import containerlogs
from nodeagent.containerlogs import LineFormatter, LogOptions, read_log, tail_start

T = b"2026-01-02T03:04:0%d.123456789Z"


def line(text: str, second: int = 5, stream: str = "stdout", tag: str = "F") -> bytes:
    return b"%s %s %s %s\n" % (T % second, stream.encode(), tag.encode(), text.encode())


THREE = line("one", 1) + line("two", 2, "stderr") + line("three", 3)
SECOND_2_NS = 1_767_323_042_123_456_789  # 2026-01-02T03:04:02.123456789Z


@pytest.mark.parametrize(
    ("options", "raw", "text"),
    [
        ({}, THREE, b"one\ntwo\nthree\n"),
        ({"timestamps": True}, line("a"), T % 5 + b" a\n"),
        ({"since_ns": SECOND_2_NS}, THREE, b"two\nthree\n"),
        ({"since_ns": SECOND_2_NS + 1}, THREE, b"three\n"),
        ({"limit_bytes": 6}, THREE, b"one\ntw"),
        ({"limit_bytes": 8}, THREE, b"one\ntwo\n"),
        ({}, line("par", tag="P") + line("tial"), b"partial\n"),
        (
            {"timestamps": True},
            line("par", 1, tag="P") + line("t", 2, tag="P") + line("ial", 3) + line("next", 4),
            T % 1 + b" partial\n" + T % 4 + b" next\n",
        ),
        ({}, line("x", tag="P:more"), b"x"),
        ({}, line(""), b"\n"),
        ({}, line("a\rb") + line("two words  "), b"a\rb\ntwo words  \n"),
        ({}, b"garbage\n" + line("a") + b"\n" + T % 5 + b" stdxxx F no\n", b"a\n"),
        ({}, line("cut")[:-1], b"cut"),
        ({"timestamps": True}, b"2026-01-02T03:04:05.1+02:00 stdout F a\n",
         b"2026-01-02T03:04:05.100000000+02:00 a\n"),
        ({"timestamps": True}, b"2026-01-02T03:04:05Z stdout F a\n",
         b"2026-01-02T03:04:05.000000000Z a\n"),
        ({"since_ns": SECOND_2_NS}, b"2026-01-02T05:04:02.2+02:00 stdout F a\n", b"a\n"),
        ({"since_ns": SECOND_2_NS}, b"2026-01-02T03:04:02.2+02:00 stdout F a\n", b""),
        ({"since_ns": 1}, b"yesterday stdout F a\n", b""),
    ],
)  # fmt: skip
def test_lines_become_text(options: dict, raw: bytes, text: bytes) -> None:
    assert LineFormatter(LogOptions(**options)).format(raw) == text


def test_the_limit_holds_over_pieces() -> None:
    formatter = LineFormatter(LogOptions(limit_bytes=5))
    assert formatter.format(line("one")) == b"one\n"
    assert not formatter.is_full
    assert formatter.format(line("two")) == b"t"
    assert formatter.is_full


async def collect(path: Path, running=lambda: False, **options) -> bytes:
    text = [t async for t in read_log(path, LogOptions(**options), running, LoopClock())]
    return b"".join(text)


@pytest.mark.parametrize(
    ("tail", "text"), [(0, b""), (1, b"three\n"), (2, b"two\nthree\n"), (9, b"one\ntwo\nthree\n")]
)
async def test_the_tail(tmp_path: Path, tail: int, text: bytes) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(THREE)
    assert await collect(path, tail_lines=tail) == text


async def test_a_last_line_without_its_newline_is_a_line(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(THREE[:-1])
    assert await collect(path, tail_lines=2) == b"two\nthree"
    path.write_bytes(b"")
    assert await collect(path, tail_lines=2) == b""


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(0, 70), st.integers(1, 64))
def test_the_tail_is_found_whatever_the_blocks(lengths: list, tail: int, block: int) -> None:
    lines = [b"x" * length + b"\n" for length in lengths]

    kept = containerlogs._BLOCK_BYTES
    containerlogs._BLOCK_BYTES = block
    try:
        start = asyncio.run(tail_start(io.BytesIO(b"".join(lines)), tail))
    finally:
        containerlogs._BLOCK_BYTES = kept
    assert start == sum(map(len, lines[: max(0, len(lines) - tail)]))


async def test_the_tail_of_a_large_file_reads_only_its_end(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line("x" * 1000) * 20_000)
    read = 0

    class Counting:
        def __init__(self, file) -> None:
            self.seek = file.seek
            self._read = file.read

        def read(self, size: int) -> bytes:
            nonlocal read
            read += size
            return self._read(size)

    with path.open("rb") as file:
        start = await tail_start(Counting(file), 10)
    assert path.stat().st_size - start == 10 * len(line("x" * 1000))
    assert read <= 64 * 1024


class Followed:
    """A log being written while it is followed."""

    def __init__(self, path: Path, **options) -> None:
        self.path = path
        self.running = True
        self.text = b""
        self.task = asyncio.create_task(self._follow(LogOptions(follow=True, **options)))

    async def _follow(self, options: LogOptions) -> None:
        async for text in read_log(self.path, options, lambda: self.running, LoopClock()):
            self.text += text

    async def append(self, data: bytes) -> bytes:
        with self.path.open("ab") as file:
            file.write(data)
        await asyncio.sleep(1)
        return self.text

    async def end(self) -> bytes:
        self.running = False
        async with asyncio.timeout(5):
            await self.task
        return self.text


async def test_following_until_the_container_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(THREE)
    followed = Followed(path, tail_lines=1)
    assert await followed.append(b"") == b"three\n"
    assert await followed.append(line("four")) == b"three\nfour\n"
    five = line("five")
    assert await followed.append(five[:20]) == b"three\nfour\n"
    assert await followed.append(five[20:]) == b"three\nfour\nfive\n"
    with path.open("ab") as file:
        file.write(line("last words"))
    assert (await followed.end()).endswith(b"five\nlast words\n")


async def test_following_over_rotation_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line("one"))
    followed = Followed(path)
    await followed.append(b"")
    with path.open("ab") as old:
        path.rename(tmp_path / "0.log.20260102")
        await asyncio.sleep(1)
        old.write(line("two"))
        old.flush()
        path.write_bytes(line("three"))
        await asyncio.sleep(1)
    assert followed.text == b"one\ntwo\nthree\n"
    path.write_bytes(line("4"))  # truncated in place, and shorter than before
    await asyncio.sleep(1)
    assert await followed.end() == b"one\ntwo\nthree\n4\n"


def test_what_a_rotated_file_still_gets_comes_before_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line("one"))
    log = containerlogs._LogFile(path)
    assert log.read() == line("one")
    with path.open("ab") as old:
        path.rename(tmp_path / "0.log.1")
        path.write_bytes(line("three"))
        assert log.look_for_rotation()
        old.write(line("two"))
    assert [log.read(), log.read(), log.read()] == [line("two"), line("three"), b""]
    assert not log.look_for_rotation()
    log.close()


async def test_what_is_written_as_the_container_ends_is_read(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(line("one"))

    def ends() -> bool:
        with path.open("ab") as file:
            file.write(line("last words"))
        return False

    assert await collect(path, ends, follow=True) == b"one\nlast words\n"


async def test_following_with_a_limit_ends_at_it(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(THREE)
    followed = Followed(path, limit_bytes=5)
    async with asyncio.timeout(1):
        await followed.task
    assert followed.text == b"one\nt"


async def test_a_line_without_end_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"x" * 3_000_000 + b"\n" + line("after"))
    assert await collect(path) == b"after\n"


async def test_a_log_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await collect(tmp_path / "none.log")
