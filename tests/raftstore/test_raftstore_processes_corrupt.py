"""A member that holds something else than the others, with every checksum right: as a defect or
bad memory would leave it. The members find out by themselves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from store_cluster import Cluster, Loopback
from store_processes import Member, etcdctl

from raftstore.disk import SystemFiles, records
from raftstore.disk.segments import list_segments


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, Loopback(), 3, "--corrupt-check-time=1s")
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def ctl(cluster: Cluster, member: Member, *words: str, check: bool = True) -> str:
    done = etcdctl(member.client_url, *words, certificates=cluster.certificates, check=check)
    return done.stdout + done.stderr


def tamper(data_dir: Path, old: bytes, new: bytes) -> None:
    """Another value in the log, in a record that is right in itself."""
    [segment] = list_segments(SystemFiles(), data_dir / "wal")
    data = bytearray(segment.path.read_bytes())
    for record in records.scan(segment.path, bytes(data), segment.number):
        if old in record.payload:
            kind = int.from_bytes(data[record.offset + 4 : record.offset + 8], "little")
            payload = record.payload.replace(old, new)
            again = records.encode(kind, payload, segment.number, record.offset)
            data[record.offset : record.end_offset] = again
            segment.path.write_bytes(data)
            return
    raise AssertionError(f"{old!r} is not in the log")


@pytest.mark.needs("etcdctl")
def test_a_member_that_differs_is_found_and_nothing_is_answered(cluster: Cluster) -> None:
    ctl(cluster, cluster.leader(), "put", "account", "100 crowns")
    victim = cluster.followers()[0]
    cluster.wait_for(
        "key", lambda: "100 crowns" in ctl(cluster, victim, "get", "account", "--consistency=s")
    )
    assert victim.process is not None
    victim.process.stop()
    tamper(victim.data_dir, b"100 crowns", b"900 crowns")
    cluster.restart(victim)

    alarm = cluster.wait_for("alarm", lambda: ctl(cluster, cluster.leader(), "alarm", "list"))
    assert alarm == f"memberID:{cluster.member_ids()[victim.name]} alarm:CORRUPT \n"
    for member in cluster.members.values():
        assert "etcdserver: corrupt cluster" in ctl(
            cluster, member, "put", "account", "0", check=False
        )
    assert "CORRUPT" in cluster.leader().log.read_text()
