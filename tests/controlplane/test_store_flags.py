"""Which store the flags name, and which of them do not go together."""

from pathlib import Path

import pytest

from controlplane import flags
from controlplane.store.endpoints import Servers


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as ended:
        flags.parse(words)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_store_is_embedded_and_alone_unless_said() -> None:
    store = flags.parse([]).store
    assert (store.servers, store.member, store.lease_duration_s) == (None, None, 15)


def test_an_etcd() -> None:
    store = flags.parse(
        [
            "--etcd-servers=https://a:2379,https://b:2379", "--etcd-cafile=ca",
            "--etcd-certfile=cert", "--etcd-keyfile=key", "--leader-elect-lease-duration=1m30s",
        ]
    ).store  # fmt: skip
    assert store.servers == Servers(("https://a:2379", "https://b:2379"), "ca", "cert", "key")
    assert store.lease_duration_s == 90


def test_a_member_has_peers_and_no_clients(tmp_path: Path) -> None:
    member = flags.parse(
        [
            f"--data-dir={tmp_path}", "--name=a", "--listen-peer-urls=http://127.0.0.1:2380",
            "--initial-advertise-peer-urls=http://127.0.0.1:2380",
            "--initial-cluster=a=http://127.0.0.1:2380,b=http://127.0.0.1:2480",
        ]
    ).store.member  # fmt: skip
    assert member is not None
    assert (member.name, member.data_dir) == ("a", tmp_path / "store")
    assert (member.listen_client_urls, member.advertise_client_urls) == ((), ())
    assert member.initial_cluster["b"] == ("http://127.0.0.1:2480",)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--etcd-servers=http://10.0.0.1:2379"], "plain http is for addresses on loopback"),
        (["--etcd-servers=a:2379"], "URL scheme must be http or https"),
        (["--etcd-cafile=ca"], "need --etcd-servers"),
        (["--etcd-servers=https://a:1", "--etcd-certfile=c"], "go together"),
        (["--etcd-servers=https://a:1", "--name=a"], "--name=a is for a store in this process"),
        (["--name=a", "--listen-peer-urls=http://10.0.0.1:2380"], "plain http"),
        (["--leader-elect-lease-duration=1s"], "at least two"),
        (["--leader-elect-lease-duration=soon"], "not a duration"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    assert problem in refused(capsys, *words)
