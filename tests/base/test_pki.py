"""Certificates are made once, left alone while right, and renewed when something changed."""

import ssl
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from base import pki, tls
from base.kubeconfig import ensure_kubeconfig

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0
API = pki.Wanted("apiserver", "kube-apiserver", hosts=("localhost", "10.0.0.1", "fd00::0:1"))
NODE = pki.Wanted("node", "system:node:n1", ("system:nodes",), ("n1",))


def test_makes_everything_and_then_nothing(tmp_path: Path) -> None:
    made = pki.ensure_pki(tmp_path, [API, NODE], NOW_S)
    assert made == {"apiserver": "missing", "node": "missing"}
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert pki.ensure_pki(tmp_path, [API, NODE], NOW_S + 60) == {}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("want", "after_days", "why"),
    [
        (API, 365 - 92, ""),
        (API, 365 - 90, "expires 2028-01-15"),
        (API, 400, "expires 2028-01-15"),
        (API, -1, "valid only from 2027-01-15"),
        (replace(API, hosts=("localhost", "10.0.0.9", "other")), 0, "lacks 10.0.0.9, other"),
        (replace(API, hosts=("localhost",)), 0, ""),
        (replace(API, common_name="someone"), 0, "for another user"),
        (replace(API, groups=("system:masters",)), 0, "for another user"),
    ],
)
def test_renews_what_is_no_longer_right(
    tmp_path: Path, want: pki.Wanted, after_days: float, why: str
) -> None:
    pki.ensure_pki(tmp_path, [API], NOW_S)
    made = pki.ensure_pki(tmp_path, [want], NOW_S + after_days * DAY_S)
    assert made == ({"apiserver": why} if why else {})


def test_a_torn_or_foreign_pair_is_made_again(tmp_path: Path) -> None:
    pki.ensure_pki(tmp_path / "a", [API, NODE], NOW_S)
    pki.ensure_pki(tmp_path / "b", [API], NOW_S)
    (tmp_path / "a" / "node.key").unlink()
    for name in ("apiserver.crt", "apiserver.key"):
        (tmp_path / "a" / name).write_bytes((tmp_path / "b" / name).read_bytes())
    made = pki.ensure_pki(tmp_path / "a", [API, NODE], NOW_S)
    assert made == {"apiserver": "signed by another CA", "node": "missing"}
    (tmp_path / "a" / "node.key").write_bytes((tmp_path / "a" / "apiserver.key").read_bytes())
    assert pki.ensure_pki(tmp_path / "a", [NODE], NOW_S) == {"node": "its key is another's"}
    (tmp_path / "a" / "node.crt").write_bytes(b"not a certificate")
    assert pki.ensure_pki(tmp_path / "a", [NODE], NOW_S) == {"node": "unreadable"}


def test_the_ca_is_never_replaced(tmp_path: Path) -> None:
    pki.ensure_pki(tmp_path, [API], NOW_S)
    with pytest.raises(ValueError, match="expired on 2037"):
        pki.ensure_pki(tmp_path, [API], NOW_S + 3651 * DAY_S)
    (tmp_path / "ca.key").unlink()
    with pytest.raises(ValueError, match="restore the key"):
        pki.ensure_pki(tmp_path, [API], NOW_S)


def test_client_and_server_trust_each_other(tmp_path: Path) -> None:
    pki.ensure_pki(tmp_path, [API, NODE], time.time())
    server = tls.server_context(
        tmp_path / "apiserver.crt", tmp_path / "apiserver.key", tmp_path / "ca.crt", require=True
    )
    client = tls.client_context(tmp_path / "ca.crt", tmp_path / "node.crt", tmp_path / "node.key")
    peer = _handshake(client, server, "10.0.0.1")
    assert (("commonName", "system:node:n1"),) in peer["subject"]


def test_kubeconfig_is_written_once(tmp_path: Path) -> None:
    pki.ensure_pki(tmp_path, pki.server_and_admin(pki.api_hosts(["n1"])), NOW_S)
    path = tmp_path / "admin.kubeconfig"
    assert ensure_kubeconfig(path, "https://127.0.0.1:6443", tmp_path)
    assert not ensure_kubeconfig(path, "https://127.0.0.1:6443", tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load(path.read_text())
    assert config["current-context"] == "kubernetes-admin@pinnace"
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"


def _handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> dict[str, object]:
    """A TLS handshake over memory; returns what the server learnt of the client."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=host)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    peer = theirs.getpeercert()
    assert peer
    return dict(peer)


def test_kubeconfig_keeps_what_its_user_set(tmp_path: Path) -> None:
    pki.ensure_pki(tmp_path, pki.server_and_admin(pki.api_hosts(["n1"])), NOW_S)
    path = tmp_path / "admin.kubeconfig"
    ensure_kubeconfig(path, "https://192.0.2.1:6443", tmp_path)
    text = path.read_text().replace("    user: kubernetes-admin\n", "    namespace: shop\n", 1)
    path.write_text(text)
    assert not ensure_kubeconfig(path, "https://192.0.2.1:6443", tmp_path)
    assert path.read_text() == text
    assert ensure_kubeconfig(path, "https://192.0.2.11:6443", tmp_path)
    (tmp_path / "admin.crt").unlink()
    pki.ensure_pki(tmp_path, pki.server_and_admin(["n1"]), NOW_S)
    assert ensure_kubeconfig(path, "https://192.0.2.11:6443", tmp_path)
