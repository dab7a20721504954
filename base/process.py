"""How a daemon runs another program: its input, its output, a deadline."""

import asyncio
import contextlib
import os
import shutil

# Ten thousand rules take iptables-restore seconds, and far longer on a busy machine.
PROCESS_TIMEOUT_S = 120.0


class ProcessFailure(Exception):
    """The program is not there, failed, or did not end in time."""


async def run(name: str, *arguments: str, text: str = "") -> str:
    """Run `name` with `text` as its input; returns its output. Raises ProcessFailure."""
    program = find(name)
    # Its input is a file in memory: a pipe would have to be fed while the program may end early.
    with os.fdopen(os.memfd_create(name), "w+b") as stdin:
        stdin.write(text.encode())
        stdin.seek(0)
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=stdin,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        async with asyncio.timeout(PROCESS_TIMEOUT_S):
            out, err = await process.communicate()
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            # It may have ended at this moment.
            process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise ProcessFailure(f"{name} did not end within {PROCESS_TIMEOUT_S:.0f} s") from None
        raise
    if process.returncode != 0:
        reason = err.decode(errors="replace").strip() or f"exit status {process.returncode}"
        raise ProcessFailure(f"{name}: {reason}")
    return out.decode(errors="replace")


def find(name: str) -> str:
    """The program's path; also where only root's PATH looks. Raises ProcessFailure."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin"
    program = shutil.which(name, path=path)
    if program is None:
        raise ProcessFailure(f"{name} is not on this machine: install the package iptables")
    return program
