"""kubectl itself against the stream handlers; behind the tunnel are host commands."""

import asyncio
import contextlib
import os
import pty
import shutil
import struct
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.controlplane.podstreams_rig import Door, rest_door

pytestmark = [pytest.mark.realtime, pytest.mark.needs("kubectl")]

KUBECTL = shutil.which("kubectl") or ""
LIMIT_S = 60
LINE = "2026-01-02T03:04:05.123456789Z stdout F line {}\n"


def command(door: Door, folder: Path, *arguments: str) -> list[str]:
    return [KUBECTL, "--server", door.url, f"--cache-dir={folder}/cache", *arguments]


async def kubectl(
    door: Door, folder: Path, *arguments: str, stdin: bytes = b""
) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *command(door, folder, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            out, err = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out, err


async def test_exec_ends_with_the_exit_code_of_the_process(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        code, out, err = await kubectl(
            door, tmp_path, "exec", "web", "--", "sh", "-c", "echo a; echo b >&2; exit 7"
        )
        assert (code, out) == (7, b"a\n")
        assert err == b"b\ncommand terminated with exit code 7\n"


async def test_exec_i_ends_with_its_stdin(tmp_path: Path) -> None:
    block = bytes(range(256)) * 8192
    async with rest_door(tmp_path) as door:
        assert await kubectl(door, tmp_path, "exec", "-i", "web", "--", "cat", stdin=block) == (
            0,
            block,
            b"",
        )
        script = ("sh", "-c", "exit 3")
        code, _, _ = await kubectl(door, tmp_path, "exec", "-i", "web", "--", *script, stdin=block)
        assert code == 3


async def test_exec_it_has_a_terminal_and_its_size(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        keyboard, screen = pty.openpty()
        ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 77, 0, 0))
        process = await asyncio.create_subprocess_exec(
            *command(door, tmp_path, "exec", "-it", "web", "--", "cat"),
            stdin=screen,
            stdout=screen,
            stderr=screen,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm"},
        )
        os.close(screen)
        os.set_blocking(keyboard, False)
        seen = b""
        try:
            async with asyncio.timeout(LIMIT_S):
                while b"hello" not in seen or b"resized" not in seen:
                    if b"resized" in seen and b"typed" not in seen:
                        os.write(keyboard, b"typed hello\r")
                        seen += b"typed"
                    with contextlib.suppress(BlockingIOError):
                        seen += os.read(keyboard, 1000)
                    await asyncio.sleep(0.02)
        finally:
            process.kill()
            await process.wait()
            os.close(keyboard)
        assert b'resized {"Width":77,"Height":33}' in seen
        assert door.rig.containers.commands[0][1].tty


async def test_errors_as_kubectl_shows_them(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        _, _, err = await kubectl(door, tmp_path, "exec", "web", "--", "refuse")
        assert b"unable to upgrade connection: not today" in err
        _, _, err = await kubectl(door, tmp_path, "exec", "web", "-c", "nope", "--", "true")
        assert b"container nope is not valid for pod web" in err


async def test_logs(tmp_path: Path) -> None:
    async with rest_door(tmp_path) as door:
        log = tmp_path / "0.log"
        log.write_text("".join(LINE.format(i) for i in range(5)))
        door.rig.containers.logs["main"] = log
        assert (await kubectl(door, tmp_path, "logs", "web", "--tail=2"))[1] == b"line 3\nline 4\n"
        code, _, err = await kubectl(door, tmp_path, "logs", "web", "-p")
        assert code == 1
        assert b'previous terminated container "main" in pod "web" not found' in err
        follow = await asyncio.create_subprocess_exec(
            *command(door, tmp_path, "logs", "-f", "web", "--tail=1"),
            stdout=asyncio.subprocess.PIPE,
            env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        )
        async with asyncio.timeout(LIMIT_S):
            assert await follow.stdout.readline() == b"line 4\n"
            with log.open("a") as file:
                file.write(LINE.format("last"))
            assert await follow.stdout.readline() == b"line last\n"
            door.rig.containers.running = False
            assert await follow.stdout.read() == b""
            assert await follow.wait() == 0
