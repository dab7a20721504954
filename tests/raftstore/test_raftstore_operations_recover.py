"""Two of three members are lost: what `pinnace store recover` says first, and then does."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_cluster import Cluster, Loopback
from store_processes import Member, etcdctl, pinnace

pytestmark = pytest.mark.needs("etcdctl")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members that have some keys and then stop; m2 and m3 are lost for good."""
    cluster = Cluster(tmp_path_factory.mktemp("recover"), Loopback(), 3)
    try:
        cluster.start()
        for number in range(5):
            ctl(cluster, cluster.leader(), "put", f"key/{number}", f"value {number}")
        for member in cluster.members.values():
            cluster.wait_for("key", lambda member=member: ctl(
                cluster, member, "get", "key/4", "--consistency=s"))  # fmt: skip
        for name in ("m2", "m3"):
            cluster.members[name].kill()
        yield cluster
    finally:
        cluster.close()


def ctl(cluster: Cluster, member: Member, *words: str) -> str:
    return etcdctl(member.client_url, *words, certificates=cluster.certificates).stdout


def test_it_refuses_a_member_that_runs(cluster: Cluster) -> None:
    where = cluster.members["m1"].data_dir
    done = pinnace("store", "recover", "--data-dir", where, "--yes", check=False)
    assert done.returncode == 1
    assert "the store is open in another process; stop that one first" in done.stderr


def test_it_says_what_it_would_do_and_changes_nothing(cluster: Cluster) -> None:
    member = cluster.members["m1"]
    member.kill()
    before = contents(member.data_dir)
    told = pinnace("store", "recover", "--data-dir", member.data_dir).stdout
    assert "(m1) of cluster" in told
    assert "It holds 5 keys at revision 6." in told
    given_up = told.split("never be joined to it again:\n")[1].split("What may be lost")[0]
    assert {line.split()[1] for line in given_up.splitlines()} == {"(m2)", "(m3)"}
    assert "What may be lost: every write that the others have acknowledged after" in told
    assert told.endswith("Nothing was changed. To do it, run this again with --yes.\n")
    assert contents(member.data_dir) == before


def test_it_goes_on_with_one_member_and_grows_again(cluster: Cluster) -> None:
    member = cluster.members["m1"]
    done = pinnace("store", "recover", "--data-dir", member.data_dir, "--yes").stdout
    assert "is the only one of the new cluster" in done
    old = {name: cluster.members.pop(name) for name in ("m2", "m3")}
    member.start(cluster.initial_cluster)
    member.wait_ready()
    assert ctl(cluster, member, "get", "key/4", "--print-value-only").strip() == "value 4"
    assert list(cluster.member_ids()) == ["m1"]
    ctl(cluster, member, "put", "after", "recovery")

    newcomer = cluster.new_member("m4")
    ctl(cluster, member, "member", "add", "m4", "--learner", f"--peer-urls={newcomer.peer_url}")
    newcomer.start(cluster.initial_cluster, "--initial-cluster-state=existing")
    newcomer.wait_ready()
    ctl(cluster, member, "member", "promote", f"{int(cluster.member_ids()['m4']):x}")
    assert ctl(cluster, newcomer, "get", "after", "--print-value-only").strip() == "recovery"

    # What comes back of the old cluster is refused, and does no harm.
    stale = old["m2"].start(cluster.initial_cluster)
    stale.wait_said("cluster-id is")
    ctl(cluster, member, "put", "after", "a stale member")
    assert "ready: member" not in stale.said()
    stale.kill()

    alone = pinnace("store", "recover", "--data-dir", old["m3"].data_dir).stdout
    assert "It holds 5 keys at revision 6." in alone


def test_a_member_that_needs_no_recovery_and_a_directory_without_a_store(tmp_path: Path) -> None:
    single = Cluster(tmp_path, Loopback(), 1)
    try:
        single.start()
    finally:
        single.close()
    [member] = single.members.values()
    done = pinnace("store", "recover", "--data-dir", member.data_dir, "--yes", check=False)
    assert done.returncode == 1
    assert "is the only one of its cluster and needs no other for a quorum" in done.stderr
    shutil.rmtree(member.data_dir)
    done = pinnace("store", "recover", "--data-dir", member.data_dir, check=False)
    assert done.returncode == 1
    assert "there is no store here; nothing was changed" in done.stderr
    assert not member.data_dir.exists()


def contents(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
