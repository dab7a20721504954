"""How a member that starts for the first time learns its id and its cluster's.

The members of a new cluster compute both from --initial-cluster; one that joins asks those that
are there, for its id was made when it was added (etcd `membership.ValidateClusterAndAssignIDs`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from raftstore.daemon.flags import Flags, check_founding
from raftstore.disk import Founding
from raftstore.errors import NodeError
from raftstore.mvcc import MemberRecord
from raftstore.node.founding import cluster_id_of, founding, joining, member_id_of
from raftstore.peers.messages import Cluster
from raftstore.urls import InitialCluster

Fetch = Callable[[str], Awaitable[Cluster]]
"""Asks the member at a peer URL who is in its cluster. Raises NodeError."""


class JoinError(Exception):
    """The others do not know this member, cannot be asked, or must not let it in as it is."""


@dataclass(frozen=True)
class Start:
    """What an empty data directory begins with, and where the others are, for a member whose log
    does not say it yet."""

    founding: Founding
    peers: Mapping[int, Sequence[str]]


async def first_start(flags: Flags, fetch: Fetch) -> Start:
    """Raises FlagError, JoinError."""
    check_founding(flags)
    others = _urls_of_others(flags)
    if not flags.initial_cluster_is_new:
        return join(flags, await _ask_first(others, fetch))
    start = found(flags.name, flags.initial_cluster, flags.initial_cluster_token)
    clusters = await asyncio.gather(*(_ask(url, fetch) for url in others))
    for cluster in filter(None, clusters):
        check_not_started(start.identity.member_id, cluster)
    return Start(start, {})


async def where_others_are(flags: Flags, fetch: Fetch) -> Mapping[int, Sequence[str]]:
    """For a member that is started again before its log says that it was added, and may name only
    members that have left. Nothing where nobody answers."""
    for url in _urls_of_others(flags):
        cluster = await _ask(url, fetch)
        if cluster is not None:
            return {record.member_id: record.peer_urls for record in cluster.members}
    return {}


def _urls_of_others(flags: Flags) -> list[str]:
    return [
        url for name, urls in flags.initial_cluster.items() for url in urls if name != flags.name
    ]


def check_not_started(member_id: int, cluster: Cluster) -> None:
    """A founder that has lost its directory has forgotten its votes and what it acknowledged: it
    must not come back as if it were new (etcd `isMemberBootstrapped`). Raises JoinError."""
    records = {record.member_id: record for record in cluster.members}
    record = records.get(member_id)
    if record is None or record.name:
        raise JoinError(
            f"member {member_id:x} has already been bootstrapped, and what it had is not in the "
            "data directory: give it back, or remove the member from the cluster, add it anew and "
            "start it with --initial-cluster-state existing"
        )


def found(name: str, cluster: InitialCluster, token: str) -> Founding:
    """For the member `name` of a new cluster; the others find the same."""
    records = founders(cluster, token)
    ids = [record.member_id for record in records]
    return founding(member_id_of(cluster[name], token), cluster_id_of(ids), records)


def founders(cluster: InitialCluster, token: str) -> list[MemberRecord]:
    """The members that a cluster begins with."""
    return [MemberRecord(member_id_of(urls, token), "", urls) for urls in cluster.values()]


def join(flags: Flags, cluster: Cluster) -> Start:
    """For a member that `cluster` has added. Raises JoinError where it has not, or where the two
    sides do not mean the same members."""
    by_urls = {frozenset(record.peer_urls): record for record in cluster.members}
    if len(by_urls) != len(flags.initial_cluster):
        raise JoinError(
            f"--initial-cluster names {len(flags.initial_cluster)} members, the cluster has "
            f"{len(by_urls)}: error validating peerURLs: member count is unequal. Add this member "
            "first, with: etcdctl member add"
        )
    for name, urls in flags.initial_cluster.items():
        if frozenset(urls) not in by_urls:
            raise JoinError(
                f"unmatched member while checking PeerURLs: the cluster has no member at "
                f"{','.join(urls)} ({name}); it has {_names(cluster.members)}"
            )
    me = by_urls[frozenset(flags.initial_advertise_peer_urls)]
    if me.name:
        raise JoinError(
            f"member {me.member_id:x} ({me.name}) has been started before, and what it had is not "
            f"in {flags.data_dir}: remove it from the cluster and add it as a new member"
        )
    peers = {record.member_id: record.peer_urls for record in cluster.members if record is not me}
    return Start(joining(me.member_id, cluster.cluster_id), peers)


async def _ask(url: str, fetch: Fetch) -> Cluster | None:
    """None: it does not run yet."""
    try:
        return await fetch(url)
    except NodeError:
        return None


async def _ask_first(others: Sequence[str], fetch: Fetch) -> Cluster:
    complaints = []
    for url in others:
        try:
            return await fetch(url)
        except NodeError as error:
            complaints.append(f"{url}: {error}")
    why = "; ".join(complaints) or "--initial-cluster names no other member"
    raise JoinError(f"cannot fetch cluster info from peer urls: {why}")


def _names(members: Sequence[MemberRecord]) -> str:
    return ", ".join(",".join(record.peer_urls) for record in members)
