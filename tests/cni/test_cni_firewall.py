"""The pod network's iptables rules: the text, and the text on a real kernel."""

import os
from pathlib import Path

import pytest

from base import process
from cni.server import firewall
from tests.cni.netlab import Lab, sh

EMPTY = "*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n*filter\n:FORWARD ACCEPT [0:0]\nCOMMIT\n"
POD, CLUSTER = "10.244.3.0/24", "10.244.0.0/16"


def use_variant(directory: Path, variant: str) -> None:
    """Debian's package has both variants; where one is missing, the machine's own is judged."""
    program = Path(f"/usr/sbin/xtables-{variant}-multi")
    for tool in ("iptables", "iptables-save", "iptables-restore") if program.exists() else ():
        (directory / tool).symlink_to(program)


def saved() -> str:
    return sh("iptables-save -t nat") + sh("iptables-save -t filter")


def test_the_whole_text_for_an_empty_machine() -> None:
    assert firewall.wanted_text(EMPTY, POD, CLUSTER) == (
        "*nat\n"
        ":PINNACE-CNI-POSTROUTING - [0:0]\n"
        "-A POSTROUTING -j PINNACE-CNI-POSTROUTING\n"
        "-A PINNACE-CNI-POSTROUTING -d 10.244.0.0/16 -j RETURN\n"
        "-A PINNACE-CNI-POSTROUTING -d 224.0.0.0/4 -j RETURN\n"
        "-A PINNACE-CNI-POSTROUTING -s 10.244.3.0/24 -j MASQUERADE --random-fully\n"
        "COMMIT\n"
        "*filter\n"
        ":PINNACE-CNI-FORWARD - [0:0]\n"
        "-I FORWARD 1 -j PINNACE-CNI-FORWARD\n"
        "-A PINNACE-CNI-FORWARD -s 10.244.0.0/16 -j ACCEPT\n"
        "-A PINNACE-CNI-FORWARD -d 10.244.0.0/16 -j ACCEPT\n"
        "COMMIT\n"
    )


def test_the_proxys_rules_stay_in_front() -> None:
    forward = [
        "-A FORWARD -j PINNACE-FORWARD",
        "-A FORWARD -j PINNACE-SERVICES",
        "-A FORWARD -j DOCKER-USER",
    ]
    present = EMPTY.replace(
        ":FORWARD ACCEPT [0:0]\n", ":FORWARD ACCEPT [0:0]\n" + "\n".join(forward) + "\n"
    )
    assert "-I FORWARD 3 -j PINNACE-CNI-FORWARD\n" in firewall.wanted_text(present, POD, CLUSTER)


def test_nothing_of_ours_needs_no_removal() -> None:
    assert firewall.removal_text(EMPTY) == ""
    assert firewall.removal_text("") == ""


@pytest.mark.realtime
@pytest.mark.needs("root", "iptables")
@pytest.mark.parametrize("variant", ["nft", "legacy"])
async def test_rules_come_once_are_repaired_and_go_without_a_trace(
    node: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    use_variant(tmp_path, variant)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sh("iptables -A FORWARD -s 10.99.0.0/16 -j DROP")
    sh("iptables -t nat -A POSTROUTING -s 10.99.0.0/16 -j MASQUERADE")
    before = _rules_of(saved())
    await firewall.ensure(POD, CLUSTER)
    ours = _rules_of(saved())
    for tamper in (
        "true",
        "iptables -F PINNACE-CNI-FORWARD",
        "iptables -t nat -D POSTROUTING -j PINNACE-CNI-POSTROUTING",
        "iptables -D FORWARD -j PINNACE-CNI-FORWARD",
        "iptables -t nat -I PINNACE-CNI-POSTROUTING -j RETURN",
    ):
        sh(tamper)
        await firewall.ensure(POD, CLUSTER)
        assert sorted(_rules_of(saved())) == sorted(ours), tamper
    assert before < ours
    assert await firewall.remove()
    assert _rules_of(saved()) == before
    assert ":PINNACE" not in saved()
    assert not await firewall.remove()


@pytest.mark.realtime
@pytest.mark.needs("root", "iptables")
async def test_a_changed_pod_cidr_replaces_the_old(node: Lab) -> None:
    await firewall.ensure(POD, CLUSTER)
    await firewall.ensure("10.244.7.0/24", CLUSTER)
    assert "10.244.7.0/24" in saved()
    assert "10.244.3.0/24" not in saved()


@pytest.mark.realtime
async def test_without_iptables_the_message_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process.shutil, "which", lambda *_, **__: None)
    with pytest.raises(firewall.FirewallFailure, match="iptables-save is not on this machine"):
        await firewall.ensure(POD, CLUSTER)


@pytest.mark.realtime
async def test_without_iptables_there_is_nothing_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process.shutil, "which", lambda *_, **__: None)
    assert not await firewall.remove()


def _rules_of(text: str) -> set[str]:
    return {line for line in text.splitlines() if line.startswith("-A ")}
