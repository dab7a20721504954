"""The virtual loop: hours in no time, deadlocks and leftovers named."""

import asyncio

import pytest

from base import virtualtime


def test_a_day_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return asyncio.get_running_loop().time()

    assert virtualtime.run(main()) == 86_400


def test_waiting_for_nothing_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(virtualtime.Deadlock):
        virtualtime.run(main())


def test_a_leftover_task_fails() -> None:
    async def main() -> None:
        main.task = asyncio.create_task(asyncio.sleep(5))  # type: ignore[attr-defined]

    with pytest.raises(RuntimeError, match="left running"):
        virtualtime.run(main())
