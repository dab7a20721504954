"""Backups of running members: saved, checked, and restored into new clusters."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from store_cluster import Cluster, Loopback
from store_processes import TOKEN, Member, etcdctl, free_ports, pinnace, real_etcd

pytestmark = pytest.mark.needs("etcdctl")
KEYS = 300


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three members with some keys, versions, a deletion and a lease."""
    cluster = Cluster(tmp_path_factory.mktemp("backup"), Loopback(), 3)
    try:
        cluster.start()
        fill(cluster)
        yield cluster
    finally:
        cluster.close()


@pytest.fixture(scope="module")
def backup(cluster: Cluster) -> Path:
    path = cluster.directory / "backup"
    done = pinnace("store", "snapshot", "save", path, *access(cluster, cluster.followers()[0]))
    assert done.stdout.startswith(f"Snapshot saved at {path}\n")
    return path


def access(cluster: Cluster, member: Member) -> list[str]:
    cert, key = cluster.certificates.pair("client")
    return [f"--endpoints={member.client_url}", f"--cacert={cluster.certificates.ca}",
            f"--cert={cert}", f"--key={key}"]  # fmt: skip


def ctl(cluster: Cluster, member: Member, *words: str, text: str = "") -> str:
    certificates = cluster.certificates
    return etcdctl(member.client_url, *words, certificates=certificates, text=text).stdout


def fill(cluster: Cluster) -> None:
    member = cluster.leader()
    for start in range(0, KEYS, 100):
        puts = "".join(f"put key/{n} {n}{'x' * 100}\n" for n in range(start, start + 100))
        assert "SUCCESS" in ctl(cluster, member, "txn", text=f"\n{puts}\n\n")
    ctl(cluster, member, "del", "key/7")
    lease = ctl(cluster, member, "lease", "grant", "3600").split()[1]
    ctl(cluster, member, "put", "leased", "l", f"--lease={lease}")


def keys_of(cluster: Cluster, member: Member) -> str:
    return ctl(cluster, member, "get", "", "--prefix", "-w", "fields").partition('"Key"')[2]


def test_a_backup_is_checked(cluster: Cluster, backup: Path) -> None:
    data = backup.read_bytes()
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    assert backup.stat().st_mode & 0o777 == 0o600
    table = pinnace("store", "snapshot", "status", backup).stdout
    assert "| HASH |" in table.replace("    HASH", "HASH")
    status = json.loads(pinnace("store", "snapshot", "status", backup, "-w", "json").stdout)
    assert status["totalKey"] == KEYS
    assert status["totalSize"] == len(data)
    [hashkv] = json.loads(ctl(cluster, cluster.leader(), "endpoint", "hashkv", "-w", "json"))
    assert status["hash"] == hashkv["HashKV"]["hash"]
    assert status["revision"] == hashkv["HashKV"]["header"]["revision"]


def test_etcdctl_takes_the_same_backup(cluster: Cluster, tmp_path: Path) -> None:
    path = tmp_path / "by-etcdctl"
    ctl(cluster, cluster.leader(), "snapshot", "save", str(path))
    status = json.loads(pinnace("store", "snapshot", "status", path, "-w", "json").stdout)
    assert status["totalKey"] == KEYS


@pytest.mark.needs("etcd")
def test_a_backup_of_etcd_is_saved_and_named_for_what_it_is(tmp_path: Path) -> None:
    with real_etcd(tmp_path / "etcd") as url:
        etcdctl(url, "put", "a", "b")
        pinnace("store", "snapshot", "save", tmp_path / "file", "--endpoints", url)
    done = pinnace("store", "snapshot", "status", tmp_path / "file", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"pinnace store: {tmp_path / 'file'}: ")


def test_damage_is_found_wherever_it_is(backup: Path, tmp_path: Path) -> None:
    data = backup.read_bytes()
    for place in range(0, len(data), len(data) // 4):
        broken = tmp_path / "broken"
        broken.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        done = pinnace("store", "snapshot", "restore", broken, "--data-dir", tmp_path / "d",
                       check=False)  # fmt: skip
        assert done.returncode == 1, place
        assert done.stderr.startswith(f"pinnace store: {broken}: ")
        assert done.stderr.count("\n") == 1
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
    cut = tmp_path / "cut"
    cut.write_bytes(data[: len(data) // 2])
    assert pinnace("store", "snapshot", "status", cut, check=False).returncode == 1


def test_three_members_are_restored(cluster: Cluster, backup: Path, tmp_path: Path) -> None:
    """Each from the same file by itself; they find each other and go on where the backup was."""
    restored = Cluster(tmp_path, Loopback(), 3)
    try:
        for member in restored.members.values():
            restore(restored, member, backup)
        restored.start()
        for member in restored.members.values():
            assert keys_of(restored, member) == keys_of(cluster, cluster.leader())
        lease = ctl(restored, restored.leader(), "lease", "list").split()[-1]
        told = ctl(restored, restored.leader(), "lease", "timetolive", lease, "--keys")
        assert "granted with TTL(3600s)" in told
        assert "leased" in told
        ctl(restored, restored.leader(), "put", "after", "restore")
        ids = restored.member_ids()
        assert sorted(ids) == ["m1", "m2", "m3"]
        old = int(cluster.status(cluster.leader())["header"]["clusterId"])
        assert int(restored.status(restored.leader())["header"]["clusterId"]) != old
    finally:
        restored.close()


def restore(restored: Cluster, member: Member, backup: Path, *more: str) -> None:
    pinnace(
        "store", "snapshot", "restore", backup, f"--data-dir={member.data_dir}",
        f"--name={member.name}", f"--initial-cluster={restored.initial_cluster}",
        f"--initial-advertise-peer-urls={member.peer_url}", f"--initial-cluster-token={TOKEN}",
        *more,
    )  # fmt: skip


def test_revisions_can_go_on_later(backup: Path, tmp_path: Path) -> None:
    """Clients that have seen more than the backup has must hear that it is compacted."""
    restored = Cluster(tmp_path, Loopback(), 1)
    try:
        [member] = restored.members.values()
        restore(restored, member, backup, "--bump-revision=1000000", "--mark-compacted")
        restored.start()
        status = json.loads(pinnace("store", "snapshot", "status", backup, "-w", "json").stdout)
        before = status["revision"]
        ctl(restored, member, "put", "after", "restore")
        answer = restored.agent.call(member.client_url, "KV/Range", key="YWZ0ZXI=")
        assert int(answer["header"]["revision"]) == before + 1_000_001
        old = etcdctl(member.client_url, "get", "after", f"--rev={before + 5}", check=False,
                      certificates=restored.certificates)  # fmt: skip
        assert "required revision has been compacted" in old.stderr
    finally:
        restored.close()


def test_a_directory_in_use_is_not_restored_into(backup: Path, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine").write_text("x")
    done = pinnace("store", "snapshot", "restore", backup, "--data-dir", tmp_path / "d",
                   check=False)  # fmt: skip
    assert done.returncode == 1
    assert "it is not empty: it holds 'mine'" in done.stderr
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--initial-cluster", "m2=http://localhost:2380"],
         "couldn't find local name \"default\" in the initial cluster configuration"),
        (["--bump-revision", "5"], "--bump-revision and --mark-compacted: "),
    ],
)  # fmt: skip
def test_restoring_is_refused_in_one_line(
    words: list[str], why: str, backup: Path, tmp_path: Path
) -> None:
    done = pinnace("store", "snapshot", "restore", backup, "--data-dir", tmp_path / "d", *words,
                   check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"pinnace store: {why}")
    assert not (tmp_path / "d").exists()


def test_saving_from_who_does_not_answer(tmp_path: Path) -> None:
    [port] = free_ports(1)
    done = pinnace("store", "snapshot", "save", tmp_path / "f", "--endpoints",
                   f"127.0.0.1:{port}", check=False)  # fmt: skip
    assert done.returncode == 1
    assert f"http://127.0.0.1:{port}: UNAVAILABLE" in done.stderr
    assert list(tmp_path.iterdir()) == []
