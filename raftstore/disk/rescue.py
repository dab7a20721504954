"""After the loss of a quorum: what a stopped member's directory holds, and going on with it alone.

What the others had and this one had not is lost; of what it has, nothing is: an entry in its log
may have been acknowledged although it did not hear of that any more, so all of them count.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from raftstore.core.messages import (
    NOBODY,
    Entry,
    EntryKind,
    HardState,
    Membership,
    MembershipChange,
)
from raftstore.disk.errors import BadSnapshot
from raftstore.disk.files import FileSystem
from raftstore.disk.segments import Identity
from raftstore.disk.storage import Opened, Storage
from raftstore.disk.wal import SEGMENT_SIZE_BYTES
from raftstore.mvcc.commands import decode_proposal
from raftstore.mvcc.errors import MvccError
from raftstore.mvcc.members import MemberRecord, encode_members
from raftstore.mvcc.snapshot import Loader, SnapshotMismatch
from raftstore.mvcc.statemachine import StateMachine


@dataclass(frozen=True)
class Inspection:
    """What a member holds. Of two members, the one with the higher (`last_term`, `last_index`) has
    all that was ever acknowledged, if one of them has. `commit` is how far it knew for sure;
    `committed_revision` is the revision there, `revision` and the rest that of all its entries."""

    identity: Identity
    term: int
    commit: int
    snapshot_index: int
    last_index: int
    last_term: int
    was_torn: bool
    committed_revision: int
    revision: int
    key_count: int
    members: tuple[MemberRecord, ...]


def inspect(files: FileSystem, directory: Path) -> Inspection:
    """Read all of a stopped member's directory and change nothing. Raises DiskError."""
    storage, opened = Storage.open(files, directory, None)
    try:
        return _inspect(storage, opened, directory)[0]
    finally:
        storage.close()


def force_new_cluster(
    files: FileSystem,
    directory: Path,
    identity: Identity,
    segment_size_bytes: int = SEGMENT_SIZE_BYTES,
) -> Inspection:
    """Make the member of `directory`, as `identity`, the only one of a new cluster; returns what
    goes with it. A crash leaves the old store or the new one. Raises DiskError, and then the
    store is as it was."""
    storage, opened = Storage.open(files, directory, None, segment_size_bytes)
    try:
        found, state = _inspect(storage, opened, directory)
        old = state.members.get(found.identity.member_id, MemberRecord(identity.member_id))
        record = msgspec.structs.replace(old, member_id=identity.member_id, is_learner=False)
        term = max(found.term, found.last_term) + 1
        entry = _alone(record, found.last_index + 1, term)
        storage.begin_writing()
        storage.wal.identity = identity
        needless = storage.wal.start_anew(
            found.snapshot_index, HardState(term, NOBODY, entry.index), [*opened.entries, entry]
        )
        storage.remove(needless)
        return found
    finally:
        storage.close()


def _alone(record: MemberRecord, index: int, term: int) -> Entry:
    change = MembershipChange(Membership((record.member_id,)), encode_members([record]))
    return Entry(index, term, msgspec.msgpack.encode(change), EntryKind.MEMBERSHIP)


def _inspect(storage: Storage, opened: Opened, directory: Path) -> tuple[Inspection, StateMachine]:
    entries, hard_state, snapshot = opened.entries, opened.hard_state, opened.snapshot
    state = _load(opened, directory)
    _replay(state, (entry for entry in entries if entry.index <= hard_state.commit))
    committed_revision = state.keyspace.revision
    _replay(state, (entry for entry in entries if entry.index > hard_state.commit))
    last = entries[-1] if entries else snapshot
    found = Inspection(
        storage.identity,
        hard_state.term,
        max(hard_state.commit, snapshot.index),
        snapshot.index,
        last.index,
        last.term,
        opened.was_torn,
        committed_revision,
        state.keyspace.revision,
        len(state.keyspace.live),
        tuple(state.members.values()),
    )
    return found, state


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


def _replay(state: StateMachine, entries: Iterable[Entry]) -> None:
    for entry in entries:
        if entry.kind is EntryKind.MEMBERSHIP:
            state.apply_membership(msgspec.msgpack.decode(entry.data, type=MembershipChange))
        elif entry.data:
            try:
                state.apply(decode_proposal(entry.data).command)
            except MvccError:
                # Whoever asked for it was told so.
                continue
