"""How a member comes to its id: computed as etcd does, or asked of the members that are there."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from raftstore.daemon.flags import Flags
from raftstore.daemon.joining import Fetch, JoinError, first_start
from raftstore.errors import Unreachable
from raftstore.mvcc import MemberRecord
from raftstore.node.founding import cluster_id_of, member_id_of
from raftstore.peers.messages import Cluster

THREE = {f"m{n}": (f"http://127.0.0.1:{n}2380",) for n in (1, 2, 3)}
TOKEN = "tour"


def flags(name: str = "m3", *, is_new: bool = True, **more: Any) -> Flags:
    return Flags(
        name=name,
        initial_advertise_peer_urls=THREE[name],
        initial_cluster=THREE,
        initial_cluster_is_new=is_new,
        initial_cluster_token=TOKEN,
        **more,
    )


def cluster(*names: str, started: bool = True) -> Cluster:
    records = [
        MemberRecord(member_id_of(THREE[name], TOKEN), name if started else "", THREE[name])
        for name in names
    ]
    return Cluster(7, records)


def answering(answers: Mapping[str, Cluster]) -> Fetch:
    """Members that run, by peer URL; the others cannot be reached."""

    async def fetch(url: str) -> Cluster:
        await asyncio.sleep(0)
        if url not in answers:
            raise Unreachable(0, "connection refused")
        return answers[url]

    return fetch


def test_ids_are_those_that_etcd_gives() -> None:
    # What etcd 3.4 and 3.6 call a member that was started without flags, and its cluster.
    assert member_id_of(("http://localhost:2380",), "etcd-cluster") == 0x8E9E05C52164694D
    assert cluster_id_of([0x8E9E05C52164694D]) == 0xCDF818194E3A8C32


async def test_founders_agree_without_having_met() -> None:
    starts = [(await first_start(flags(name), answering({}))).founding for name in THREE]
    assert len({start.identity.cluster_id for start in starts}) == 1
    assert len({start.identity.member_id for start in starts}) == 3
    assert starts[0].entries == starts[1].entries == starts[2].entries
    assert {start.identity.member_id for start in starts} == {
        member_id_of(urls, TOKEN) for urls in THREE.values()
    }


async def test_a_founder_among_founders_that_run_already() -> None:
    running = cluster("m1", "m2", "m3", started=False)
    start = (await first_start(flags(), answering({THREE["m1"][0]: running}))).founding
    assert start.identity.member_id == member_id_of(THREE["m3"], TOKEN)


@pytest.mark.parametrize("known", [cluster("m1", "m2", "m3"), cluster("m1", "m2")])
async def test_a_founder_that_lost_its_directory_is_refused(known: Cluster) -> None:
    with pytest.raises(JoinError, match="has already been bootstrapped"):
        await first_start(flags(), answering({THREE["m2"][0]: known}))


async def test_a_joining_member_is_told_its_id() -> None:
    added = Cluster(7, [*cluster("m1", "m2").members, MemberRecord(99, "", THREE["m3"])])
    found = await first_start(flags(is_new=False), answering({THREE["m2"][0]: added}))
    start = found.founding
    assert list(found.peers.values()) == [THREE["m1"], THREE["m2"]]
    assert (start.identity.member_id, start.identity.cluster_id) == (99, 7)
    assert not start.entries
    assert start.hard_state.term == 0


@pytest.mark.parametrize(
    ("known", "why"),
    [
        (cluster("m1", "m2"), "member count is unequal. Add this member first"),
        (
            Cluster(7, [*cluster("m1", "m2").members, MemberRecord(9, "", ("http://other:1",))]),
            "unmatched member while checking PeerURLs: the cluster has no member at "
            "http://127.0.0.1:32380",
        ),
        (cluster("m1", "m2", "m3"), "has been started before"),
    ],
)
async def test_a_joining_member_that_the_cluster_does_not_mean(known: Cluster, why: str) -> None:
    with pytest.raises(JoinError) as caught:
        await first_start(flags(is_new=False), answering({THREE["m1"][0]: known}))
    assert why in str(caught.value)


async def test_nobody_can_be_asked() -> None:
    with pytest.raises(JoinError) as caught:
        await first_start(flags(is_new=False), answering({}))
    assert str(caught.value).startswith("cannot fetch cluster info from peer urls: http://127.0")
