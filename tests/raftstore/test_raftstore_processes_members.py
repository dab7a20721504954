"""Members come and go as real processes: learners, promotion, replacement, handing over, and who
is not let in."""

import base64
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_cluster import Agent, Cluster, Loopback, Refusal
from store_processes import Certificates, Member


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members; a snapshot is due early, so that newcomers are sent one."""
    cluster = Cluster(tmp_path_factory.mktemp("members"), Loopback(), 3, "--snapshot-count=20")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def put(cluster: Cluster, key: str, value: str) -> None:
    put_at(cluster, cluster.leader(), key, value)


def put_at(cluster: Cluster, member: Member, key: str, value: str) -> None:
    cluster.agent.call(member.client_url, "KV/Put", key=b64(key), value=b64(value))


def get(cluster: Cluster, member: Member, key: str) -> str:
    """What the member itself has."""
    answer = cluster.agent.call(member.client_url, "KV/Range", key=b64(key), serializable=True)
    return base64.b64decode(answer["kvs"][0]["value"]).decode() if answer["kvs"] else ""


def join(cluster: Cluster, name: str, *, learner: bool = False) -> Member:
    """Add a member and start it; once it is told its id it needs no flag of the beginning."""
    member = cluster.new_member(name)
    leader = next(m for m in cluster.members.values() if m is not member and cluster.status(m))
    cluster.wait_for("healthy cluster", lambda: add(cluster, leader, member, learner=learner))
    member.start(cluster.initial_cluster, "--initial-cluster-state=existing")
    member.wait_ready()
    return member


def add(cluster: Cluster, at: Member, member: Member, *, learner: bool) -> bool:
    """False while a member has not been heard of for a while."""
    try:
        cluster.agent.call(
            at.client_url, "Cluster/MemberAdd", peerURLs=[member.peer_url], isLearner=learner
        )
    except Refusal as error:
        if error.details == "etcdserver: unhealthy cluster":
            return False
        raise
    return True


def remove(cluster: Cluster, name: str) -> None:
    ids = cluster.member_ids()
    others = [member for member in cluster.members.values() if member.name != name]
    cluster.agent.call(others[0].client_url, "Cluster/MemberRemove", ID=ids[name])
    del cluster.members[name]


def test_a_learner_is_sent_a_snapshot_and_promoted(cluster: Cluster) -> None:
    for number in range(60):
        put(cluster, f"key/{number}", f"value {number}")
    learner = join(cluster, "m4", learner=True)
    cluster.wait_for("key", lambda: get(cluster, learner, "key/59") == "value 59")
    assert cluster.status(learner)["isLearner"]
    with pytest.raises(Refusal, match="rpc not supported for learner"):
        cluster.agent.call(learner.client_url, "KV/Put", key=b64("a"), value=b64("b"))
    ids, leader = cluster.member_ids(), cluster.leader()
    with pytest.raises(Refusal, match="can only promote a learner member"):
        cluster.agent.call(leader.client_url, "Cluster/MemberPromote", ID=ids["m1"])
    cluster.agent.call(leader.client_url, "Cluster/MemberPromote", ID=ids["m4"])
    cluster.wait_for("voter", lambda: not cluster.status(learner)["isLearner"])
    cluster.agent.call(learner.client_url, "KV/Put", key=b64("a"), value=b64("b"))


def test_the_lead_is_handed_over(cluster: Cluster) -> None:
    ids = cluster.member_ids()
    leader, target = cluster.leader(), cluster.followers()[-1]
    with pytest.raises(Refusal, match="etcdserver: not leader"):
        cluster.agent.call(target.client_url, "Maintenance/MoveLeader", targetID=ids[leader.name])
    cluster.agent.call(leader.client_url, "Maintenance/MoveLeader", targetID=ids[target.name])
    assert cluster.leader() is target


def test_a_leader_that_is_told_to_end_hands_over_first(cluster: Cluster) -> None:
    leader = cluster.leader()
    term = int(cluster.status(leader)["raftTerm"])
    assert leader.process is not None
    assert leader.process.stop() == 0
    assert "leads now" in leader.process.said()
    assert int(cluster.status(cluster.leader())["raftTerm"]) == term + 1
    cluster.restart(leader)


def test_a_dead_member_is_replaced(cluster: Cluster) -> None:
    victim = cluster.followers()[0]
    victim.kill()
    shutil.rmtree(victim.data_dir)
    # It would vote as if it had never voted before.
    again = victim.start(cluster.initial_cluster)
    assert again.wait() == 1
    assert "has already been bootstrapped" in again.said()
    remove(cluster, victim.name)
    newcomer = join(cluster, "m5")
    put(cluster, "after", "replacement")
    cluster.wait_for("key", lambda: get(cluster, newcomer, "after") == "replacement")
    assert sorted(cluster.member_ids()) == sorted(cluster.members)


def test_a_removed_member_ends_and_stays_away(cluster: Cluster) -> None:
    member = cluster.leader()
    remove(cluster, member.name)
    assert member.process is not None
    assert member.process.wait() == 1
    assert "was removed from the cluster" in member.process.said()
    again = member.start(cluster.initial_cluster)
    assert again.wait() == 1
    assert "was removed from the cluster" in again.said()
    put(cluster, "without", "it")


def test_a_member_that_nobody_added_is_refused(cluster: Cluster) -> None:
    stranger = cluster.new_member("m9")
    process = stranger.start(cluster.initial_cluster, "--initial-cluster-state=existing")
    assert process.wait() == 1
    assert "member count is unequal. Add this member first" in process.said()
    del cluster.members["m9"]


def test_clients_with_a_wrong_certificate_or_none_are_refused(
    cluster: Cluster, tmp_path: Path
) -> None:
    foreign = Certificates(tmp_path, "foreign")
    # It trusts the store, and shows what the store does not trust.
    foreign.ca = cluster.certificates.ca
    agent = Agent([], foreign)
    try:
        with pytest.raises(Refusal) as caught:
            agent.call(cluster.leader().client_url, "KV/Put", key=b64("a"), value=b64("b"))
        assert caught.value.code == "UNAVAILABLE"
    finally:
        agent.close()


def test_a_member_with_a_wrong_certificate_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    """It has the identity and the directory of a member, but not its certificate."""
    victim = cluster.followers()[0]
    assert victim.process is not None
    victim.process.stop()
    real, victim.certificates = victim.certificates, Certificates(tmp_path, "foreign")
    process = victim.start(cluster.initial_cluster)
    process.wait_said("CERTIFICATE_VERIFY_FAILED")
    put(cluster, "not for", "strangers")
    time.sleep(1.0)
    assert "ready: member" not in process.said()
    assert cluster.status(victim) is None
    victim.kill()
    victim.certificates = real
    cluster.restart(victim)
    cluster.wait_for("key", lambda: get(cluster, victim, "not for") == "strangers")


def test_one_member_becomes_two(tmp_path: Path) -> None:
    """The second voter is told its id before it can help to commit that it is one."""
    cluster = Cluster(tmp_path, Loopback(), 1)
    try:
        cluster.start()
        put(cluster, "before", "alone")
        [first] = cluster.members.values()
        second = cluster.new_member("m2")
        assert add(cluster, first, second, learner=False)
        with pytest.raises(Refusal, match="DEADLINE_EXCEEDED"):
            cluster.agent.call(first.client_url, "KV/Put", 1.0, key=b64("nobody agrees"))
        # Even if it dies before the other one was ever there.
        first.kill()
        first.start(cluster.initial_cluster)
        cluster.wait_for("member", lambda: cluster.status(first))
        second.start(cluster.initial_cluster, "--initial-cluster-state=existing")
        second.wait_ready()
        first.wait_ready()
        put(cluster, "after", "together")
        assert get(cluster, second, "before") == "alone"
        cluster.wait_for("key", lambda: get(cluster, second, "after") == "together")
        assert sorted(cluster.member_ids()) == ["m1", "m2"]
    finally:
        cluster.close()


def test_a_founder_that_waits_for_the_others_can_be_told_to_end(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, Loopback(), 3)
    try:
        [first, *_] = cluster.members.values()
        process = first.start(cluster.initial_cluster)
        cluster.wait_for("member", lambda: cluster.status(first))
        assert int(cluster.status(first)["leader"]) == 0
        assert process.stop(5.0) == 0
        assert "ready: member" not in process.said()
    finally:
        cluster.close()
