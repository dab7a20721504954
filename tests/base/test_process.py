"""Running another program: what is left of it when the wait for it ends early."""

import asyncio

import pytest

from base import process

pytestmark = pytest.mark.realtime


async def test_a_program_that_ends_as_it_is_given_up_is_no_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its end may be noticed between the cancellation and the signal."""
    started = asyncio.create_subprocess_exec
    children: list[asyncio.subprocess.Process] = []

    async def start(*argv: str, **how: object) -> asyncio.subprocess.Process:
        child = await started(*argv, **how)  # type: ignore[arg-type]
        children.append(child)

        def kill() -> None:
            raise ProcessLookupError

        monkeypatch.setattr(child, "kill", kill)
        return child

    monkeypatch.setattr(asyncio, "create_subprocess_exec", start)
    running = asyncio.ensure_future(process.run("sleep", "0.2"))
    while not children:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
