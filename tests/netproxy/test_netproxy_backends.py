"""Every backend under the one suite, with real traffic in throw-away namespaces."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from base.process import ProcessFailure, find, run
from netproxy.backends import Backend, BackendFailure
from netproxy.backends.iptables import IptablesBackend
from netproxy.model import RuleSet
from tests.cni.netlab import Lab, sh
from tests.netproxy.backend_suite import CHECKS, Check, check_backend
from tests.netproxy.fake_iptables import FakeIptables
from tests.netproxy.netproxy_objects import rules, service, slice_of

pytestmark = pytest.mark.realtime
TOOLS = ("iptables", "iptables-save", "iptables-restore")


@dataclass(frozen=True)
class Candidate:
    """A backend and the program behind `iptables`, where that matters."""

    make: Callable[[], Backend]
    program: str


# Debian's package has both variants; elsewhere one may be missing, and is not judged then.
CANDIDATES = {
    f"iptables-{variant}": Candidate(IptablesBackend, program)
    for variant in ("nft", "legacy")
    if Path(program := f"/usr/sbin/xtables-{variant}-multi").exists()
} or {"iptables": Candidate(IptablesBackend, "iptables")}


@pytest.fixture(params=CANDIDATES.values(), ids=CANDIDATES)
def make_backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], Backend]]:
    if request.param.program.startswith("/"):
        for tool in TOOLS:
            (tmp_path / tool).symlink_to(request.param.program)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return request.param.make


@pytest.mark.needs("root", "iptables")
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_backend(make_backend: Callable[[], Backend], check: Check, node: Lab) -> None:
    await check_backend(make_backend, check, node)


# -- what only this backend has


@pytest.mark.needs("root", "iptables")
async def test_without_a_table_there_is_nothing_to_clean_up(node: Lab) -> None:
    assert not await IptablesBackend().cleanup()
    assert "PINNACE" not in sh("iptables-save")


@pytest.mark.needs("root", "iptables")
async def test_every_protocol_is_accepted_by_the_kernel(node: Lab) -> None:
    ports = "a=1/TCP:30001,b=2/UDP:30002,c=3/SCTP:30003"
    backend = IptablesBackend()
    await backend.apply(
        rules(
            service("all", ports=ports, sessionAffinity="ClientIP"),
            slice_of("all", "10.244.0.5,10.244.0.6", ports="a=1/TCP,b=2/UDP,c=3/SCTP"),
        )
    )
    assert await backend.is_intact()


async def test_a_failed_change_is_written_whole_and_a_second_failure_told() -> None:
    kernel = FakeIptables()
    backend = IptablesBackend(kernel.run)
    first, second = rules(service("a")), rules(service("a"), service("b", vip="10.96.0.11"))
    await backend.apply(first)
    kernel.fail_next = True
    await backend.apply(second)
    assert await backend.is_intact()
    backend.forget()
    kernel.fail_next = True
    with pytest.raises(BackendFailure, match="Resource temporarily unavailable"):
        await backend.apply(second)
    await backend.apply(second)
    assert await backend.is_intact()
    assert len(kernel.tables["filter"]["PINNACE-SERVICES"]) == 2
    assert len(kernel.tables["nat"]["PINNACE-SERVICES"]) == 1


async def test_rules_that_did_not_arrive_are_missed() -> None:
    kernel = FakeIptables()

    async def forgetful(name: str, *arguments: str, text: str = "") -> str:
        out = await kernel.run(name, *arguments, text=text)
        kernel.tables["filter"].pop("PINNACE-FORWARD", None)
        return out

    with pytest.raises(BackendFailure, match="PINNACE-FORWARD of table filter"):
        await IptablesBackend(forgetful).apply(rules())


async def test_nothing_is_written_when_nothing_changed() -> None:
    kernel = FakeIptables()
    backend = IptablesBackend(kernel.run)
    for _ in range(3):
        await backend.apply(rules(service("a"), slice_of("a", "10.0.0.1")))
    assert len(kernel.restored) == 1


async def test_cleanup_without_iptables_has_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    assert not await IptablesBackend().cleanup()


async def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(BackendFailure, match="iptables-save is not on this machine: install"):
        await IptablesBackend().apply(RuleSet())


def test_programs_are_found_where_only_roots_path_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find("ip").endswith("/ip")


async def test_a_process_has_a_deadline_and_its_input(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await run("cat", text="whole\n" * 100_000) == "whole\n" * 100_000
    assert await run("true", text="never read" * 100_000) == ""
    with pytest.raises(ProcessFailure, match=r"cat: .*nope"):
        await run("cat", "/nope")
    with pytest.raises(ProcessFailure, match="exit status 1"):
        await run("false")
    monkeypatch.setattr("base.process.PROCESS_TIMEOUT_S", 0.05)
    with pytest.raises(ProcessFailure, match="did not end"):
        await run("sleep", "60")
