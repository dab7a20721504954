"""The node's iptables rules for the pod network: masquerade what leaves, let pods through.

Two chains of our own and one jump to each; rules of others stay as they are. The text is decided
by pure functions; `apply` and `remove` hand it to iptables-restore, which commits all of a table
or nothing. The only module of this room that has programs run.
"""

from base import process
from cni.server.errors import NetworkFailure

NAT_CHAIN = "PINNACE-CNI-POSTROUTING"
FILTER_CHAIN = "PINNACE-CNI-FORWARD"
LOCK_WAIT_S = 5  # the xtables lock is shared with whoever else changes rules
_CHAINS = {NAT_CHAIN: 3, FILTER_CHAIN: 2}  # how many rules each has
_NAT_JUMP = f"POSTROUTING -j {NAT_CHAIN}"
_FILTER_JUMP = f"FORWARD -j {FILTER_CHAIN}"


class FirewallFailure(NetworkFailure):
    """iptables is missing, or refused."""


def wanted_text(saved: str, pod_cidr: str, cluster_cidr: str) -> str:
    """What iptables-restore --noflush is to be told, given what iptables-save says now.

    Traffic within the cluster keeps its source address; so does multicast. The filter chain is
    for nodes whose policy of FORWARD is DROP, as Docker sets it.
    """
    position = _position_after_proxy(saved)
    return "\n".join(
        [
            "*nat",
            f":{NAT_CHAIN} - [0:0]",
            *([] if f"-A {_NAT_JUMP}" in saved.splitlines() else [f"-A {_NAT_JUMP}"]),
            f"-A {NAT_CHAIN} -d {cluster_cidr} -j RETURN",
            f"-A {NAT_CHAIN} -d 224.0.0.0/4 -j RETURN",
            f"-A {NAT_CHAIN} -s {pod_cidr} -j MASQUERADE --random-fully",
            "COMMIT",
            "*filter",
            f":{FILTER_CHAIN} - [0:0]",
            *(
                []
                if f"-A {_FILTER_JUMP}" in saved.splitlines()
                else [f"-I FORWARD {position} -j {FILTER_CHAIN}"]
            ),
            f"-A {FILTER_CHAIN} -s {cluster_cidr} -j ACCEPT",
            f"-A {FILTER_CHAIN} -d {cluster_cidr} -j ACCEPT",
            "COMMIT",
            "",
        ]
    )


def _position_after_proxy(saved: str) -> int:
    """Where to insert into FORWARD: first, but behind the proxy's rules, which must be able to
    reject what goes to a Service without endpoints."""
    forward = [line for line in _table(saved, "filter") if line.startswith("-A FORWARD ")]
    proxy = [number for number, line in enumerate(forward, 1) if "-j PINNACE-" in line]
    return max(proxy, default=0) + 1


def removal_text(saved: str) -> str:
    """What takes our chains and jumps away; empty when there are none."""
    parts = []
    for table, chain, jump in (
        ("nat", NAT_CHAIN, _NAT_JUMP),
        ("filter", FILTER_CHAIN, _FILTER_JUMP),
    ):
        lines = _table(saved, table)
        if any(line.startswith(f":{chain} ") for line in lines):
            jumps = [f"-D {jump}"] * lines.count(f"-A {jump}")
            parts += [f"*{table}", *jumps, f"-F {chain}", f"-X {chain}", "COMMIT", ""]
    return "\n".join(parts)


def is_applied(saved: str, pod_cidr: str, cluster_cidr: str) -> bool:
    """Whether our chains hold exactly what `wanted_text` puts there, and are jumped to."""
    wanted = wanted_text(saved, pod_cidr, cluster_cidr).splitlines()
    jumps = any(line.endswith((NAT_CHAIN, FILTER_CHAIN)) for line in wanted)
    ours = (f"-A {NAT_CHAIN} ", f"-A {FILTER_CHAIN} ")
    present = [line for line in saved.splitlines() if line.startswith(ours)]
    return not jumps and sorted(present) == sorted(w for w in wanted if w.startswith(ours))


def is_there(saved: str) -> bool:
    """Whether chains and jumps are there at all: what does not depend on how an iptables of
    another version words its rules."""
    lines = saved.splitlines()
    rules = {chain: sum(line.startswith(f"-A {chain} ") for line in lines) for chain in _CHAINS}
    jumps = {f"-A {_NAT_JUMP}", f"-A {_FILTER_JUMP}"}
    return rules == _CHAINS and jumps <= set(lines)


def _table(saved: str, name: str) -> list[str]:
    lines = saved.splitlines()
    if f"*{name}" not in lines:
        return []
    start = lines.index(f"*{name}") + 1
    return lines[start : lines.index("COMMIT", start)]


async def ensure(pod_cidr: str, cluster_cidr: str) -> None:
    """Make the rules so, if they are not. Raises FirewallFailure."""
    saved = await _save()
    if is_applied(saved, pod_cidr, cluster_cidr):
        return
    await _run(
        "iptables-restore",
        "-w",
        str(LOCK_WAIT_S),
        "--noflush",
        text=wanted_text(saved, pod_cidr, cluster_cidr),
    )
    if not is_there(await _save()):
        raise FirewallFailure("the pod network's iptables rules are not there after they were set")


async def remove() -> bool:
    """Take our rules away. Says whether there were any; without iptables there are none."""
    try:
        process.find("iptables-save")
    except process.ProcessFailure:
        return False
    text = removal_text(await _save())
    if text:
        await _run("iptables-restore", "-w", str(LOCK_WAIT_S), "--noflush", text=text)
    return bool(text)


async def _save() -> str:
    tables = [await _run("iptables-save", "-t", table) for table in ("nat", "filter")]
    return "".join(tables)


async def _run(name: str, *arguments: str, text: str = "") -> str:
    try:
        return await process.run(name, *arguments, text=text)
    except process.ProcessFailure as error:
        raise FirewallFailure(str(error)) from error
