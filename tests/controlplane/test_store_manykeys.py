"""More keys than a snapshot's slice holds, alive and dead: compacted, snapshotted, opened again.

Every opening must find exactly what was acknowledged.
"""

import random
from pathlib import Path

import pytest

from base.clock import SystemClock
from controlplane.store import Op
from controlplane.store.embedded import EmbeddedStore
from raftstore.node import Node
from raftstore.node.member import Options

KEYS = 600
OPTIONS = Options(snapshot_log_min_bytes=50_000)


async def contents(store: EmbeddedStore) -> dict[bytes, bytes]:
    return {kv.key: kv.value for kv in (await store.range(b"k", b"l")).kvs}


async def write(store: EmbeddedStore, model: dict[bytes, bytes], chance: random.Random) -> None:
    key = b"k%04d" % chance.randrange(KEYS)
    if key in model and chance.random() < 0.05:  # few dead among many living
        await store.txn([], [Op.delete(key)])
        del model[key]
    else:
        model[key] = b"v" * chance.randrange(1, 200)
        await store.txn([], [Op.put(key, model[key])])


@pytest.mark.realtime
async def test_every_opening_finds_what_was_acknowledged(tmp_path: Path) -> None:
    chance = random.Random(1)
    model: dict[bytes, bytes] = {}
    compacted = 1
    for _ in range(5):
        node = await Node.open(tmp_path / "store", SystemClock(), chance, OPTIONS)
        store = EmbeddedStore(node, SystemClock())
        assert await contents(store) == model
        for step in range(1200):
            await write(store, model, chance)
            revision = store.revision - chance.randrange(300)
            if step % 400 == 399 and revision > compacted:
                await store.compact(revision)
                compacted = revision
        await store.close()
    assert list((tmp_path / "store" / "snap").iterdir())
