"""The end of leases by the leader's clock, and of states on their way: each ends once, and what it
held is let go."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from base.clock import LoopClock
from raftstore.core import InstallSnapshot, Membership, SnapshotMeta
from raftstore.errors import NotTheLeader
from raftstore.mvcc import Command, LeaseGrant, LeaseRevoke, Put, StateMachine
from raftstore.mvcc.errors import LeaseNotFound
from raftstore.mvcc.snapshot import stream
from raftstore.node.expiry import LeaseExpiry
from raftstore.node.transfers import HeldSlices, Receiving, TransferRefused


class Leader:
    """A member whose log takes the ends of leases, unless it is handing over."""

    def __init__(self) -> None:
        self.state = StateMachine()
        self.metrics = SimpleNamespace(leases_expired=0)
        self.clock = LoopClock()
        self.ended: list[tuple[float, int]] = []
        self.refuses = False
        self.expiry = LeaseExpiry(cast(Any, self), self._revoke)

    def _revoke(self, command: Command) -> None:
        if self.refuses:
            raise NotTheLeader
        assert isinstance(command, LeaseRevoke)
        self.ended.append(
            (round(asyncio.get_running_loop().time() - self.start_s, 1), command.lease_id)
        )
        self.apply(command)

    def apply(self, command: Command) -> None:
        self.state.apply(command)
        self.expiry.applied(command)

    def promote(self) -> None:
        self.start_s = asyncio.get_running_loop().time()
        self.expiry.promote()


async def test_a_lease_ends_when_its_time_is_over_and_not_when_it_was_revoked_or_renewed() -> None:
    leader = Leader()
    leader.apply(LeaseGrant(1, 10))
    leader.promote()
    leader.apply(LeaseGrant(2, 5))
    leader.apply(LeaseGrant(3, 7))
    leader.apply(LeaseGrant(4, 6))
    leader.apply(LeaseRevoke(4))
    leader.apply(Put(b"k"))
    await asyncio.sleep(4)
    assert leader.expiry.renew(2) == 5
    assert leader.expiry.remaining_s(3) == pytest.approx(3)
    await asyncio.sleep(30)
    assert leader.ended == [(7.0, 3), (9.0, 2), (10.0, 1)]
    for lease_id in (1, 4, 9):
        with pytest.raises(LeaseNotFound):
            leader.expiry.remaining_s(lease_id)
        with pytest.raises(LeaseNotFound):
            leader.expiry.renew(lease_id)
    leader.expiry.close()


async def test_who_leads_no_more_ends_and_renews_no_lease() -> None:
    leader = Leader()
    leader.apply(LeaseGrant(1, 10))
    leader.promote()
    await asyncio.sleep(1)
    leader.expiry.demote()
    leader.apply(LeaseGrant(2, 5))
    leader.expiry.refused(LeaseRevoke(1))
    with pytest.raises(LeaseNotFound):
        leader.expiry.renew(1)
    await asyncio.sleep(60)
    assert leader.ended == []
    # Whoever leads anew gives each its whole time.
    leader.promote()
    await asyncio.sleep(60)
    assert leader.ended == [(5.0, 2), (10.0, 1)]
    leader.expiry.close()


async def test_an_end_that_was_not_taken_is_said_again() -> None:
    leader = Leader()
    leader.apply(LeaseGrant(1, 5))
    leader.promote()
    leader.refuses = True
    await asyncio.sleep(5.2)
    leader.refuses = False
    assert leader.ended == []
    await asyncio.sleep(5)
    assert leader.ended == [(5.5, 1)]
    leader.expiry.close()


async def test_an_end_that_an_alarm_refused_is_said_again() -> None:
    leader = Leader()
    leader.apply(LeaseGrant(1, 5))
    leader.promote()
    refused: list[Command] = []
    apply, leader.apply = leader.apply, refused.append  # type: ignore[method-assign, assignment]
    await asyncio.sleep(5.2)
    leader.apply = apply  # type: ignore[method-assign]
    assert refused == [LeaseRevoke(1)]
    leader.expiry.refused(LeaseRevoke(1))
    await asyncio.sleep(5)
    assert [lease_id for _, lease_id in leader.ended] == [1, 1]
    assert leader.ended[1][0] == pytest.approx(5.7)
    leader.expiry.close()


async def test_nothing_ends_when_the_member_is_closed() -> None:
    leader = Leader()
    leader.apply(LeaseGrant(1, 5))
    leader.promote()
    leader.expiry.close()
    leader.apply(LeaseGrant(2, 5))
    await asyncio.sleep(60)
    assert leader.ended == []


# -- states on their way


def test_history_is_held_once_by_each_state_that_is_sent() -> None:
    member = SimpleNamespace(state=StateMachine(), history_holds=0)
    one, two = (HeldSlices(cast(Any, member)) for _ in range(2))
    assert member.history_holds == 2
    list(one)
    assert member.history_holds == 2
    one.close()
    one.close()
    assert member.history_holds == 1
    two.close()
    assert member.history_holds == 0


class Writer:
    def __init__(self) -> None:
        self.data = b""
        self.finished = self.abandoned = False
        self.size_bytes = 0

    def write(self, batch: list[bytes]) -> None:
        assert not self.finished
        self.data += b"".join(batch)

    def finish(self) -> None:
        self.finished = True
        self.size_bytes = len(self.data)

    def abandon(self) -> None:
        self.abandoned = True


class OffLoop:
    async def run(self, do: Any, *arguments: Any) -> Any:
        await asyncio.sleep(0)
        return do(*arguments)


def receiving() -> tuple[Receiving, list[Writer]]:
    writers: list[Writer] = []

    def begin(snapshot: SnapshotMeta, **_: Any) -> Writer:
        writers.append(Writer())
        return writers[-1]

    member = SimpleNamespace(storage=SimpleNamespace(begin_snapshot=begin))
    return Receiving(cast(Any, member), cast(Any, OffLoop())), writers


async def slowly(slices: list[bytes], stop: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    for data in slices:
        await asyncio.sleep(0.01)
        yield data
    if stop is not None:
        await stop.wait()


META = SnapshotMeta(5, 2, Membership((1, 2)))
MESSAGE = InstallSnapshot(2, 1, 2, META)


def slices_of_a_large_state() -> list[bytes]:
    state = StateMachine()
    for number in range(60):
        state.apply(Put(b"k%d" % number, bytes([number]) * 20_000))
    return list(stream(state))


async def test_a_received_state_is_on_the_disk_as_it_was_sent() -> None:
    slices = slices_of_a_large_state()
    assert len(slices) > 3
    taking, writers = receiving()
    await taking.take(MESSAGE, slowly(slices))
    (writer,) = writers
    assert writer.data == b"".join(slices)
    assert (writer.finished, writer.abandoned) == (True, False)
    assert taking.received is not None
    assert taking.received.size_bytes == len(writer.data)
    assert len(taking.received.state.keyspace.live) == 60
    # Until it is known whether it is wanted, no other is taken.
    with pytest.raises(TransferRefused):
        await taking.take(MESSAGE, slowly(slices))
    taking.keep(META)
    assert taking.received is not None
    taking.keep(None)
    taking.keep(None)
    assert taking.received is None
    await taking.take(MESSAGE, slowly(slices))
    assert len(writers) == 2


async def test_one_state_is_taken_at_a_time_and_what_is_under_way_ends_with_the_member() -> None:
    slices = slices_of_a_large_state()
    taking, writers = receiving()
    under_way = asyncio.ensure_future(taking.take(MESSAGE, slowly(slices[:-1], asyncio.Event())))
    await asyncio.sleep(0.1)
    with pytest.raises(TransferRefused):
        await taking.take(MESSAGE, slowly(slices))
    await taking.close()
    assert under_way.cancelled()
    assert (writers[0].finished, writers[0].abandoned) == (False, True)
    assert taking.received is None
    await taking.close()
    # What was sent is let go with its task.
    del under_way
    await asyncio.sleep(0.1)
