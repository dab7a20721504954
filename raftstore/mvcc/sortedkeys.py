"""A sorted set of keys in blocks: O(log n + block) to change, O(log n + k) to read a range.

Inserting into one list of a million pointers moves megabytes; into a block of at most
`BLOCK_KEYS_MAX` a few kilobytes. A tree of Python objects would cost several times the memory.
"""

from bisect import bisect_left, insort

BLOCK_KEYS_MAX = 1024


class SortedKeys:
    def __init__(self) -> None:
        self._blocks: list[list[bytes]] = []
        # The last key of each block: which block a key belongs to is one bisection.
        self._maxes: list[bytes] = []
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def extend(self, keys: list[bytes]) -> None:
        """Add keys that are in order, without repeats and behind all that are there. Blocks are
        left half full."""
        if not keys:
            return
        self._size += len(keys)
        room = BLOCK_KEYS_MAX // 2
        if self._blocks and len(self._blocks[-1]) + len(keys) <= room:
            self._blocks[-1] += keys
            self._maxes[-1] = keys[-1]
            return
        for i in range(0, len(keys), room):
            self._blocks.append(keys[i : i + room])
            self._maxes.append(self._blocks[-1][-1])

    def add(self, key: bytes) -> None:
        """Add a key that is not there."""
        self._size += 1
        if not self._maxes:
            self._blocks.append([key])
            self._maxes.append(key)
            return
        at = bisect_left(self._maxes, key)
        if at == len(self._maxes):
            at -= 1
            self._blocks[at].append(key)
            self._maxes[at] = key
        else:
            insort(self._blocks[at], key)
        if len(self._blocks[at]) > BLOCK_KEYS_MAX:
            self._split(at)

    def remove(self, key: bytes) -> None:
        """Remove a key that is there."""
        at = bisect_left(self._maxes, key)
        block = self._blocks[at]
        block.pop(bisect_left(block, key))
        self._size -= 1
        if not block:
            del self._blocks[at]
            del self._maxes[at]
        else:
            self._maxes[at] = block[-1]

    def count(self, start: bytes, end: bytes | None) -> int:
        """How many keys are in [start, end); without an end, from `start` on."""
        first, low = self._locate(start)
        last, high = (len(self._blocks), 0) if end is None else self._locate(end)
        if (first, low) >= (last, high):
            return 0
        return sum(map(len, self._blocks[first:last])) - low + high

    def slice(self, start: bytes, end: bytes | None, limit: int = 0) -> list[bytes]:
        """The keys in [start, end), at most `limit` of them where one is given."""
        first, low = self._locate(start)
        last, high = (len(self._blocks), 0) if end is None else self._locate(end)
        if first == last:
            found = self._blocks[first][low:high] if high > low else []
            return found[:limit] if limit else found
        found = []
        for at in range(first, last):
            found += self._blocks[at][low:] if low else self._blocks[at]
            low = 0
            if limit and len(found) >= limit:
                return found[:limit]
        if high and last > first:
            found += self._blocks[last][:high]
        return found[:limit] if limit else found

    def _locate(self, key: bytes) -> tuple[int, int]:
        """Block and place of the first key that is not below `key`."""
        at = bisect_left(self._maxes, key)
        if at == len(self._maxes):
            return at, 0
        return at, bisect_left(self._blocks[at], key)

    def _split(self, at: int) -> None:
        block = self._blocks[at]
        half = len(block) // 2
        self._blocks[at : at + 1] = [block[:half], block[half:]]
        self._maxes.insert(at, block[half - 1])
