"""A real process under load, killed with SIGKILL: no acknowledged write is lost."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from base.clock import SystemClock
from raftstore.mvcc import Range
from raftstore.node import Node

ROOT = Path(__file__).parents[2]
KILLS = 4


def answered_until_killed(directory: Path, answers: int) -> dict[bytes, int]:
    """Highest count per key that the writer said was answered, after it was killed."""
    script = [sys.executable, str(Path(__file__).with_name("kill_writer.py")), str(directory)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writer = subprocess.Popen(script, stdout=subprocess.PIPE, env=environment)
    assert writer.stdout is not None
    answered: dict[bytes, int] = {}
    lines = 0
    with writer:
        for line in writer.stdout:
            if not line.endswith(b"\n"):
                break
            key, count = line.split()
            assert answered.get(key, 0) < int(count)
            answered[key] = int(count)
            lines += 1
            if lines == answers:
                writer.kill()
    assert lines >= answers
    return answered


@pytest.mark.realtime
async def test_kill_9_under_load_loses_no_acknowledged_write(tmp_path: Path) -> None:
    rng = random.Random(4)
    revision = 0
    for _ in range(KILLS):
        answers = rng.randrange(500, 4000)
        answered = await asyncio.to_thread(answered_until_killed, tmp_path, answers)
        node = await Node.open(tmp_path, SystemClock(), rng)
        found = node.range(Range(b"writer/", b"writer0"))
        counts = {kv.key: int(kv.value[:10]) for kv in found.kvs}
        for key, count in answered.items():
            # One write more may have been under way.
            assert count <= counts[key] <= count + 1
        assert all(kv.version == counts[kv.key] for kv in found.kvs)
        assert found.revision > revision
        revision = found.revision
        await node.close()
