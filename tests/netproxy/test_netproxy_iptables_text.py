"""The exact text of the iptables backend: scripts of services and the rules they become.

Each script under `scripts/` is a dialogue: a command, `----`, what it prints. `pytest --rewrite`
writes what is printed now; commit only what you can explain.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netproxy.backends.iptables_rules import render
from netproxy.backends.iptables_tables import (
    JUMPS,
    change_text,
    our_part,
    parse_saved,
    removal_text,
)
from netproxy.model import Endpoint, RuleSet, ServicePort
from tests.netproxy import netproxy_objects as objects
from tests.netproxy.fake_iptables import FakeIptables

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.txt"))


class Script:
    """One script's world: objects, settings, and a fake kernel."""

    def __init__(self) -> None:
        self.base = objects.BASE
        self.objects: dict[str, object] = {}
        self.kernel = FakeIptables()
        self.applied: RuleSet | None = None

    def run(self, line: str) -> str:
        name, *arguments = line.split(" ")
        named = dict(a.split("=", 1) for a in arguments if "=" in a.partition("/")[0])
        bare = [a for a in arguments if "=" not in a.partition("/")[0]]
        return self.commands[name](self, bare, named)

    def _service(self, bare: list[str], named: dict[str, str]) -> str:
        spec: dict[str, object] = dict(named)
        for key in ("externalIPs", "loadBalancerSourceRanges"):
            if key in named:
                spec[key] = named[key].split(",")
        if "lb" in named:
            spec["load_balancer"] = [{"ip": spec.pop("lb")}]
        self.objects[f"service {bare[0]}"] = objects.service(bare[0], **spec)  # type: ignore[arg-type]
        return ""

    def _slice(self, bare: list[str], named: dict[str, str]) -> str:
        name, endpoints = (*bare, "")[:2]
        self.objects[f"slice {name}"] = objects.slice_of(name, endpoints, **named)  # type: ignore[arg-type]
        return ""

    def _delete(self, bare: list[str], named: dict[str, str]) -> str:
        del self.objects[" ".join(bare)]
        return ""

    def _settings(self, bare: list[str], named: dict[str, str]) -> str:
        self.base = RuleSet(
            cluster_cidr=named.get("cluster_cidr", ""),
            localhost_node_ports=named.get("localhost", "true") == "true",
            node_port_addresses=tuple(filter(None, named.get("addresses", "").split(","))),
        )
        return ""

    def _rules(self) -> RuleSet:
        return objects.rules(*self.objects.values(), base=self.base)  # type: ignore[arg-type]

    def _apply(self, bare: list[str], named: dict[str, str]) -> str:
        """What iptables-restore is told."""
        before = render(self.applied) if self.applied else {}
        rules = self._rules()
        text = change_text(before, render(rules), parse_saved(self.kernel.save()))
        if text:
            self.kernel.restore(text)
        self.applied = rules
        return text

    def _kernel(self, bare: list[str], named: dict[str, str]) -> str:
        """Somebody else's command on the tables."""
        table, line = bare[0], " ".join(bare[1:])
        self.kernel.restore(f"*{table}\n{line}\nCOMMIT\n")
        return ""

    def _cleanup(self, bare: list[str], named: dict[str, str]) -> str:
        text = removal_text(parse_saved(self.kernel.save()))
        if text:
            self.kernel.restore(text)
        assert self.kernel.ours() == {"nat": {}, "filter": {}}
        return text

    commands: dict[str, Callable[["Script", list[str], dict[str, str]], str]] = {  # noqa: RUF012
        "service": _service,
        "slice": _slice,
        "delete": _delete,
        "settings": _settings,
        "apply": _apply,
        "kernel": _kernel,
        "cleanup": _cleanup,
    }


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, rewrite: bool) -> None:
    """Several commands may stand before one `----`; a blank line ends what they print."""
    script, seen = Script(), []
    for block in path.read_text().rstrip("\n").split("\n\n"):
        commands = block.partition("\n----")[0].splitlines()
        output = "".join(script.run(c) for c in commands if not c.startswith("#"))
        seen += [*commands, "----", *output.splitlines(), ""]
    text = "\n".join(seen).rstrip("\n") + "\n"
    if rewrite:
        path.write_text(text)
    assert text == path.read_text()


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 5


# -- from any state to any other

ENDPOINTS = [Endpoint(f"10.244.0.{n}", 8080, is_local=n % 2 == 0) for n in range(4)]


@st.composite
def service_ports(draw: st.DrawFn, name: str) -> ServicePort:
    some = st.lists(st.sampled_from(ENDPOINTS), unique=True).map(lambda e: tuple(sorted(e)))
    return ServicePort(
        namespace="ns",
        name=name,
        port_name=draw(st.sampled_from(["", "web"])),
        protocol=draw(st.sampled_from(["tcp", "udp", "sctp"])),
        cluster_ip=f"10.96.0.{ord(name)}",
        port=80,
        node_port=draw(st.sampled_from([0, 30000 + ord(name)])),
        external_ips=draw(st.sampled_from([(), ("203.0.113.1",)])),
        load_balancer_ips=draw(st.sampled_from([(), ("198.51.100.1",)])),
        source_ranges=draw(st.sampled_from([(), ("192.0.2.0/24",)])),
        affinity_s=draw(st.sampled_from([0, 60])),
        internal_local=draw(st.booleans()),
        external_local=draw(st.booleans()),
        cluster_endpoints=draw(some),
        local_endpoints=draw(some),
        has_any=draw(st.booleans()),
    )


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    names = draw(st.lists(st.sampled_from("abc"), unique=True))
    return RuleSet(
        services=tuple(draw(service_ports(name)) for name in sorted(names)),
        cluster_cidr=draw(st.sampled_from(["", "10.244.0.0/16"])),
    )


@settings(deadline=None, max_examples=100)
@given(st.lists(rule_sets(), min_size=1, max_size=4))
def test_every_change_leads_to_exactly_what_is_wanted(steps: list[RuleSet]) -> None:
    kernel = FakeIptables()
    kernel.restore("*filter\n-A FORWARD -j DROP\n-I FORWARD 1 -j RETURN\nCOMMIT\n")
    before = {}
    for rules in steps:
        after = render(rules)
        text = change_text(before, after, parse_saved(kernel.save()))
        if text:
            kernel.restore(text)
        assert kernel.ours() == after
        assert change_text(after, after, parse_saved(kernel.save())) == ""
        before = after
    for table, jumps in JUMPS.items():
        for chain, lines in jumps.items():
            assert tuple(kernel.tables[table][chain][: len(lines)]) == lines
    assert kernel.tables["filter"]["FORWARD"][-2:] == ["-j RETURN", "-j DROP"]
    kernel.restore(removal_text(parse_saved(kernel.save())))
    assert kernel.ours() == {"nat": {}, "filter": {}}
    assert kernel.tables["filter"]["FORWARD"] == ["-j RETURN", "-j DROP"]
    assert removal_text(parse_saved(kernel.save())) == ""


@settings(deadline=None, max_examples=50)
@given(rule_sets(), st.data())
def test_any_tampering_is_seen_and_undone(rules: RuleSet, data: st.DataObject) -> None:
    kernel = FakeIptables()
    after = render(rules)
    kernel.restore(change_text({}, after, parse_saved(kernel.save())))
    intact = our_part(parse_saved(kernel.save()))
    table = data.draw(st.sampled_from(["nat", "filter"]))
    chains = kernel.tables[table]
    touched = sorted(c for c in chains if c[:8] == "PINNACE-" or c in JUMPS[table])
    chain = data.draw(st.sampled_from(touched))
    how = data.draw(st.sampled_from(["flush", "first", "last", "duplicate"]))
    lines = list(chains[chain])
    chains[chain] = {
        "flush": [],
        "first": ["-j PINNACE-FORWARD" if table == "filter" else "-j PINNACE-MARK-MASQ", *lines],
        "last": lines[:-1],
        "duplicate": [*lines, *lines],
    }[how]
    assert (our_part(parse_saved(kernel.save())) == intact) == (chains[chain] == lines)
    text = change_text({}, after, parse_saved(kernel.save()))
    kernel.restore(text)
    assert our_part(parse_saved(kernel.save())) == intact


def test_only_what_changed_is_written() -> None:
    many = [objects.service(f"s{n}", vip=f"10.96.1.{n}") for n in range(100)]
    slices = [objects.slice_of(f"s{n}", "10.0.0.1,10.0.0.2") for n in range(100)]
    changed = [objects.slice_of("s7", "10.0.0.1,10.0.0.3"), *slices[:7], *slices[8:]]
    kernel = FakeIptables()
    before, after = render(objects.rules(*many, *slices)), render(objects.rules(*many, *changed))
    kernel.restore(change_text({}, before, {}))
    text = change_text(before, after, parse_saved(kernel.save()))
    assert len(text.splitlines()) < 12
    kernel.restore(text)
    assert kernel.ours() == after


def test_others_chains_with_a_similar_name_are_not_ours() -> None:
    saved = parse_saved("*nat\n:PINNACE-CNI-POSTROUTING - [0:0]\n:PINNACEX - [0:0]\nCOMMIT\n")
    assert our_part(saved) == {"nat": {}}
    assert removal_text(saved) == ""
