"""The process that `test_raftstore_kill.py` kills: writes to a store and says what was answered."""

import asyncio
import os
import random
import sys
from pathlib import Path

from base.clock import SystemClock
from raftstore.mvcc import Put, Range
from raftstore.node import Node
from raftstore.node.member import Options


async def main(directory: Path) -> None:
    options = Options(segment_size_bytes=256 * 1024, snapshot_log_min_bytes=512 * 1024)
    node = await Node.open(directory, SystemClock(), random.Random(), options)

    async def write(number: int) -> None:
        key = b"writer/%02d" % number
        kvs = node.range(Range(key)).kvs
        count = int(kvs[0].value[:10]) if kvs else 0
        while True:
            count += 1
            await node.propose(Put(key, b"%010d" % count + b"x" * 1000))
            os.write(1, b"%s %d\n" % (key, count))

    await asyncio.gather(*(write(number) for number in range(16)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
