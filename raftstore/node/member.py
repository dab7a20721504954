"""The parts of one member, opened together: what the driver and its helpers share."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from logging import getLogger
from pathlib import Path

from base.clock import Clock
from raftstore.core import Config, Raft, Stored
from raftstore.disk import BadSnapshot, FileSystem, Founding, Opened, Storage, SystemFiles
from raftstore.disk.wal import SEGMENT_SIZE_BYTES
from raftstore.mvcc import StateMachine, WatchHub
from raftstore.mvcc.check import REQUEST_SIZE_MAX_BYTES
from raftstore.mvcc.snapshot import Loader, SnapshotMismatch
from raftstore.node.metrics import Metrics

_log = getLogger("raftstore")

# Appending, syncing and applying these holds the loop for a few milliseconds.
READY_ENTRIES_MAX = 256


@dataclass(frozen=True)
class Options:
    """`use_threads`: False where the loop cannot wait for one (virtual time): then the disk is
    always waited for on the loop. A snapshot is taken when the log outgrows the last one and
    `snapshot_log_min_bytes` (a shorter log is read again in a fraction of a second), and, where
    `snapshot_entries` is given, after that many entries. A request that takes longer than
    `request_timeout_s` has no answer (etcd: 5 s and two election timeouts). A leader's heartbeat
    comes every tick; `quota_bytes` 0 is none. Of the applied log, `log_keep_bytes` stay in memory
    for members that lag behind."""

    use_threads: bool = True
    segment_size_bytes: int = SEGMENT_SIZE_BYTES
    snapshot_log_min_bytes: int = 8 * 1024 * 1024
    snapshot_entries: int = 0
    request_timeout_s: float = 7.0
    pending_max: int = 10_000
    tick_s: float = 0.1
    election_ticks: int = 10
    quota_bytes: int = 0
    log_keep_bytes: int = 16 * 1024 * 1024
    request_size_max_bytes: int = REQUEST_SIZE_MAX_BYTES


@dataclass
class Member:
    """`state` is another one after a snapshot of the leader. While `history_holds` is not 0,
    somebody streams history that must not be freed."""

    storage: Storage
    raft: Raft
    state: StateMachine
    hub: WatchHub
    clock: Clock
    options: Options
    metrics: Metrics = field(default_factory=Metrics)
    history_holds: int = 0


def open_member(
    directory: Path,
    clock: Clock,
    rng: random.Random,
    options: Options,
    files: FileSystem | None,
    founding: Founding | None,
    on_sink_error: Callable[[Exception], None],
) -> Member:
    """Open the store in `directory`, or make it as `founding` says. Nothing is applied of what
    came after the snapshot. Raises DiskError."""
    storage, opened = Storage.open(
        files or SystemFiles(), directory, founding, options.segment_size_bytes
    )
    try:
        state = _load(opened, directory)
        storage.begin_writing()
        stored = Stored(opened.hard_state, opened.snapshot, opened.entries)
        config = Config(
            storage.identity.member_id,
            election_ticks=options.election_ticks,
            ready_entries_max=READY_ENTRIES_MAX,
        )
        raft = Raft(config, stored, rng)
    except BaseException:
        storage.close()
        raise
    if opened.was_torn:
        _log.warning("%s: cut an unfinished record at the end of the log", directory)
    return Member(storage, raft, state, WatchHub(state.keyspace, on_sink_error), clock, options)


def _load(opened: Opened, directory: Path) -> StateMachine:
    if not opened.snapshot.index:
        return StateMachine()
    loader = Loader()
    try:
        for data in opened.slices:
            loader.feed(data)
        return loader.finish()
    except SnapshotMismatch as error:
        raise BadSnapshot(directory, str(error)) from error
