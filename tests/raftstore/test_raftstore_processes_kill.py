"""Three members as real processes, under load: killed, stopped, cut off. Nothing acknowledged is
lost, what the clients saw is one linearizable history, and watches miss and repeat nothing."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from store_cluster import ELECTION_S, Cluster, Loopback, Namespaces
from store_history import distribution, failovers_s, judge
from store_processes import TOKEN, Member

from raftstore.node.founding import cluster_id_of, member_id_of

CLIENTS = 2
KILLS = 20
LONG_KILLS = 200
Harm = Callable[[], list[float]]
Print = Callable[[str], None]


def can_cut_links() -> bool:
    return os.geteuid() == 0 and shutil.which("iptables") is not None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    directory = tmp_path_factory.mktemp("cluster")
    network = Namespaces() if can_cut_links() else Loopback()
    # Snapshots are taken while members are killed, and sent to those that come back late.
    cluster = Cluster(directory, network, 3, "--snapshot-count=500")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def under_load(cluster: Cluster, harm: Callable[[], list[float]], print_: Print) -> None:
    """Do harm while clients write and read, then judge all that they ever saw. `harm` returns
    when a leader was lost."""
    cluster.agent.do("start_load", urls=cluster.urls, clients=CLIENTS)
    wait_for_progress(cluster)
    lost_s = harm()
    wait_for_progress(cluster)
    path = cluster.directory / "history.json"
    cluster.agent.do("stop_load", urls=cluster.urls, path=str(path))
    history = json.loads(path.read_text())
    verdict = judge(history["operations"], history["logs"], history["watches"])
    print_(
        f"{verdict.operations} calls, {verdict.acknowledged} writes acknowledged, "
        f"{verdict.unknown} without an answer"
    )
    if lost_s:
        print_(distribution(failovers_s(history["operations"], lost_s), ELECTION_S))
    assert verdict.wrong == []
    assert verdict.acknowledged >= 40


def wait_for_progress(cluster: Cluster, writes: int = 20) -> None:
    before = cluster.agent.do("acknowledged")
    cluster.wait_for("write", lambda: cluster.agent.do("acknowledged") >= before + writes)


@pytest.fixture
def print_(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    record_testsuite_property: Callable[[str, object], None],
) -> Print:
    """Past pytest's capture, and into the report of `pinnace test`."""

    def show(text: str) -> None:
        figure = f"{request.node.name}: {text}"
        record_testsuite_property("figure", figure)
        with capsys.disabled():
            print("\n ", figure, end="")

    return show


def kill_again_and_again(cluster: Cluster, kills: int, seed: int) -> list[float]:
    """Each killed member is back before the next one goes. When leaders were killed."""
    rng = random.Random(seed)
    lost_s = []
    for _ in range(kills):
        leader = cluster.leader()
        victim = leader
        if rng.random() < 0.35:
            victim = rng.choice(cluster.followers())
        if victim is leader:
            lost_s.append(time.monotonic())
        victim.kill()
        wait_for_progress(cluster, rng.randrange(1, 40))
        cluster.restart(victim)
    return lost_s


def test_members_are_named_as_etcd_names_them(cluster: Cluster) -> None:
    expected = {member.name: id_of(member) for member in cluster.members.values()}
    assert {name: int(i) for name, i in cluster.member_ids().items()} == expected
    status = cluster.status(cluster.leader())
    assert int(status["header"]["clusterId"]) == cluster_id_of(list(expected.values()))


def test_kill_9_under_load(cluster: Cluster, print_: Print) -> None:
    under_load(cluster, lambda: kill_again_and_again(cluster, KILLS, 1), print_)


@pytest.mark.long
def test_kill_9_two_hundred_times(cluster: Cluster, print_: Print) -> None:
    under_load(cluster, lambda: kill_again_and_again(cluster, LONG_KILLS, 2), print_)


def test_all_killed_at_once(cluster: Cluster, print_: Print) -> None:
    def harm() -> list[float]:
        for member in cluster.members.values():
            assert member.process is not None
            member.process.signal(signal.SIGKILL)
        for member in cluster.members.values():
            member.kill()
        cluster.start()
        return []

    under_load(cluster, harm, print_)


def test_stopped_and_continued(cluster: Cluster, print_: Print) -> None:
    """SIGSTOP: a leader that wakes up and does not know yet that it is deposed; a follower that
    missed things."""

    def harm() -> list[float]:
        lost_s = []
        for is_leader in (True, False, True):
            victim = cluster.leader() if is_leader else cluster.followers()[0]
            assert victim.process is not None
            if is_leader:
                lost_s.append(time.monotonic())
            victim.process.signal(signal.SIGSTOP)
            wait_for_progress(cluster)
            time.sleep(2 * ELECTION_S)
            victim.process.signal(signal.SIGCONT)
            wait_for_progress(cluster)
        return lost_s

    under_load(cluster, harm, print_)


@pytest.mark.needs("root", "iptables")
def test_links_are_cut(cluster: Cluster, print_: Print) -> None:
    """A leader that only its clients reach, a member that hears but is not heard, and one without
    any link."""
    network = cluster.network
    assert isinstance(network, Namespaces)

    def leader_alone_with_its_clients() -> None:
        leader, followers = cluster.leader(), cluster.followers()
        for follower in followers:
            network.cut(leader.name, follower.name)
        cluster.wait_for("other leader", lambda: newer_leader(cluster, leader))
        wait_for_progress(cluster)
        for follower in followers:
            network.mend(leader.name, follower.name)

    def leader_that_does_not_hear() -> None:
        leader, followers = cluster.leader(), cluster.followers()
        for follower in followers:
            network.cut(leader.name, follower.name, one_way=True)
        cluster.wait_for("other leader", lambda: newer_leader(cluster, leader))
        for follower in followers:
            network.mend(leader.name, follower.name, one_way=True)

    def one_link_between_followers() -> None:
        first, second = cluster.followers()
        network.cut(first.name, second.name)
        wait_for_progress(cluster, 100)
        network.mend(first.name, second.name)

    def member_without_a_link() -> None:
        victim = cluster.leader()
        network.unplug(victim.name)
        cluster.wait_for("other leader", lambda: newer_leader(cluster, victim))
        network.plug(victim.name)

    def harm() -> list[float]:
        for cut in (
            leader_alone_with_its_clients,
            leader_that_does_not_hear,
            one_link_between_followers,
            member_without_a_link,
        ):
            cut()
            wait_for_progress(cluster)
            cluster.wait_for("whole cluster", lambda: is_whole(cluster))
        return []

    under_load(cluster, harm, print_)


def newer_leader(cluster: Cluster, old: Member) -> bool:
    """Whether the others follow somebody else."""
    others = [member for member in cluster.members.values() if member is not old]
    leaders = {int(status["leader"]) for m in others if (status := cluster.status(m))}
    return len(leaders) == 1 and leaders.isdisjoint({0, id_of(old)})


def id_of(member: Member) -> int:
    return member_id_of((member.peer_url,), TOKEN)


def is_whole(cluster: Cluster) -> bool:
    """Everybody follows the same leader."""
    statuses = [cluster.status(member) for member in cluster.members.values()]
    return all(statuses) and len({(s["leader"], s["raftTerm"]) for s in statuses}) == 1
