"""`pinnace store copy` between Debian's etcd and our own: every key and lease, or a refusal."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from store_processes import etcdctl, pinnace, real_etcd

from raftstore.operations.copying import BATCH_KEYS, BATCH_SIZE_BYTES, batches


def fill(url: str) -> None:
    """More keys than a page, some of them replaced and deleted, and one with a lease."""
    for start in range(0, 250, 125):
        puts = "".join(f"put /registry/n{n:03} v{n}\n" for n in range(start, start + 125))
        assert "SUCCESS" in etcdctl(url, "txn", text=f"\n{puts}\n\n").stdout
    etcdctl(url, "put", "/registry/n001", "again")
    etcdctl(url, "del", "/registry/n002")
    etcdctl(url, "put", "/other", "x" * 1000)
    lease = etcdctl(url, "lease", "grant", "900").stdout.split()[1]
    etcdctl(url, "put", "/registry/leased", "l", f"--lease={lease}")


def keys_of(url: str, prefix: str = "") -> dict[str, str]:
    lines = etcdctl(url, "get", prefix, "--prefix").stdout.splitlines()
    return dict(zip(lines[::2], lines[1::2], strict=True))


@pytest.mark.needs("etcd", "etcdctl")
def test_from_etcd_to_etcd(tmp_path: Path) -> None:
    with real_etcd(tmp_path / "a") as source, real_etcd(tmp_path / "b") as target:
        fill(source)
        done = pinnace("store", "copy", "--from", source, "--to", target)
        assert "251 keys written, 1 leases made" in done.stdout
        assert keys_of(target) == keys_of(source)
        leases = etcdctl(source, "lease", "list").stdout
        assert etcdctl(target, "lease", "list").stdout == leases
        lease = leases.split()[-1]
        assert "granted with TTL(900s)" in etcdctl(target, "lease", "timetolive", lease).stdout

        again = pinnace("store", "copy", "--from", source, "--to", target, check=False)
        assert again.returncode == 1
        assert again.stderr.startswith(f"pinnace store: {target} is not empty: it holds '/other'")

        resumed = pinnace("store", "copy", "--from", source, "--to", target, "--resume")
        assert "0 keys written, 251 were there" in resumed.stdout

        etcdctl(target, "put", "/registry/n007", "changed")
        refused = pinnace("store", "copy", "--from", source, "--to", target, "--resume",
                          check=False)  # fmt: skip
        assert refused.returncode == 1
        assert "'/registry/n007' with another value" in refused.stderr


@pytest.mark.needs("etcd", "etcdctl")
def test_a_prefix_and_its_refusals(tmp_path: Path) -> None:
    with real_etcd(tmp_path / "a") as source, real_etcd(tmp_path / "b") as target:
        fill(source)
        etcdctl(target, "put", "/other", "mine")
        pinnace("store", "copy", "--from", source, "--to", target, "--prefix", "/registry/")
        assert keys_of(target, "/registry/") == keys_of(source, "/registry/")
        assert keys_of(target)["/other"] == "mine"
        etcdctl(target, "put", "/registry/zz", "stray")
        stray = pinnace("store", "copy", "--from", source, "--to", target, "--prefix",
                        "/registry/", "--resume", check=False)  # fmt: skip
        assert "'/registry/zz' is not in the source" in stray.stderr


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["copy", "--from", "http://127.0.0.1:1", "--to", "http://127.0.0.1:1"], 1,
         "pinnace store: --from and --to are the same store: http://127.0.0.1:1"),
        (["copy", "--from", "127.0.0.1:1", "--to", "127.0.0.1:2"], 1,
         "pinnace store: http://127.0.0.1:1: UNAVAILABLE: "),
        (["copy", "--from", "ftp://a:1", "--to", "127.0.0.1:2"], 1,
         "pinnace store: URL scheme must be http or https: ftp://a:1"),
        (["snapshot", "save", "x", "--endpoints", "a:1,b:1"], 1,
         "pinnace store: one endpoint is needed, not 2: 'a:1,b:1'"),
        (["snapshot", "save", "x", "--cert", "c"], 1,
         "pinnace store: a certificate and its key go together: one is missing"),
        (["snapshot", "save", "/no/x", "--endpoints", "127.0.0.1:1"], 1,
         "pinnace store: /no/x.part: No such file or directory"),
        (["copy"], 2, "usage: pinnace store copy"),
    ],
)  # fmt: skip
def test_refusals_are_one_line(words: list[str], code: int, why: str) -> None:
    done = pinnace("store", *words, check=False)
    assert done.returncode == code
    assert done.stderr.startswith(why)
    assert code == 2 or done.stderr.count("\n") == 1


def test_batches_fit_into_a_transaction() -> None:
    def kv(size_bytes: int) -> SimpleNamespace:
        return SimpleNamespace(key=b"k", value=b"v" * size_bytes)

    assert batches([]) == []
    assert [len(b) for b in batches([kv(1)] * 250)] == [BATCH_KEYS, BATCH_KEYS, 50]
    half = BATCH_SIZE_BYTES // 2
    assert [len(b) for b in batches([kv(half), kv(half - 2), kv(1), kv(2 * half)])] == [2, 1, 1]
