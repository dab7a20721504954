"""Tables of iptables chains: read from iptables-save, compared, and the text that changes one
state into another for iptables-restore --noflush. Pure.
"""

from collections.abc import Mapping, Sequence

PREFIX = "PINNACE-"
# Another room's chains under the same roof.
FOREIGN_PREFIX = "PINNACE-CNI-"

Lines = tuple[str, ...]
# {table: {chain: rules without "-A chain"}}
Tables = Mapping[str, Mapping[str, Lines]]

# What leads from the kernel's chains into ours, in this order before everything else.
_NEW = "-m conntrack --ctstate NEW "
JUMPS: Mapping[str, Mapping[str, Lines]] = {
    "nat": {
        "PREROUTING": ("-j PINNACE-SERVICES",),
        "OUTPUT": ("-j PINNACE-SERVICES",),
        "POSTROUTING": ("-j PINNACE-POSTROUTING",),
    },
    "filter": {
        "INPUT": (
            f"{_NEW}-j PINNACE-PROXY-FIREWALL",
            f"{_NEW}-j PINNACE-EXTERNAL-SERVICES",
            "-j PINNACE-FIREWALL",
        ),
        "FORWARD": (
            f"{_NEW}-j PINNACE-PROXY-FIREWALL",
            "-j PINNACE-FORWARD",
            f"{_NEW}-j PINNACE-SERVICES",
            f"{_NEW}-j PINNACE-EXTERNAL-SERVICES",
        ),
        "OUTPUT": (f"{_NEW}-j PINNACE-PROXY-FIREWALL", f"{_NEW}-j PINNACE-SERVICES"),
    },
}


def change_text(before: Tables, after: Tables, saved: Tables) -> str:
    """What iptables-restore --noflush is to be told; empty when nothing differs.

    `before` is what we know to be there of ours, `saved` what iptables-save said: its chains of
    ours that are not in `after` go, and jumps that are not first in line are put there.
    """
    parts: list[str] = []
    for table in JUMPS:
        lines = _table_change(
            before.get(table, {}), after.get(table, {}), saved.get(table, {}), JUMPS[table]
        )
        if lines:
            parts += [f"*{table}", *lines, "COMMIT"]
    return "\n".join([*parts, ""]) if parts else ""


def _table_change(
    before: Mapping[str, Lines],
    after: Mapping[str, Lines],
    saved: Mapping[str, Lines],
    jumps: Mapping[str, Lines],
) -> list[str]:
    changed = [name for name in after if name not in saved or before.get(name) != after[name]]
    stale = [name for name in saved if is_ours(name) and name not in after]
    # A line `:chain` makes the chain, or empties it; so what is stale loses its references first.
    return [
        *(f":{name} - [0:0]" for name in (*changed, *stale)),
        *(f"-A {name} {line}" for name in changed for line in after[name]),
        *_jump_change(saved, jumps),
        *(f"-X {name}" for name in stale),
    ]


def _jump_change(saved: Mapping[str, Lines], jumps: Mapping[str, Lines]) -> list[str]:
    lines = []
    for name, wanted in jumps.items():
        present = our_jumps(saved.get(name, ()))
        if present != wanted:
            lines += [f"-D {name} {jump}" for jump in present]
            lines += [f"-I {name} {number} {jump}" for number, jump in enumerate(wanted, 1)]
    return lines


def unchanged(before: Tables, after: Tables) -> set[tuple[str, str]]:
    """(table, chain) of what `change_text` leaves as it is."""
    return {
        (table, name)
        for table, chains in after.items()
        for name, lines in chains.items()
        if before.get(table, {}).get(name) == lines
    }


def missing(after: Tables, saved: Tables) -> list[str]:
    """Chains that do not have as many rules, or jumps, as were written. iptables-save has its own
    words for a rule, so that only counts and targets can be compared."""
    wrong = [
        f"chain {name} of table {table}"
        for table, chains in after.items()
        for name, lines in chains.items()
        if len(saved.get(table, {}).get(name, ("",) * (len(lines) + 1))) != len(lines)
    ]
    return wrong + [
        f"jumps from {name} of table {table}"
        for table, chains in JUMPS.items()
        for name, jumps in chains.items()
        if _targets(our_jumps(saved.get(table, {}).get(name, ()))) != _targets(jumps)
    ]


def _targets(lines: Sequence[str]) -> list[str]:
    return [line.rpartition("-j ")[2] for line in lines]


def removal_text(saved: Tables) -> str:
    """What takes every chain and jump of ours away; empty when there is none."""
    parts: list[str] = []
    for table, chains in saved.items():
        ours = [name for name in chains if is_ours(name)]
        drops = [
            f"-D {name} {jump}"
            for name, lines in chains.items()
            if not is_ours(name)
            for jump in our_jumps(lines)
        ]
        if ours or drops:
            emptied = (f":{name} - [0:0]" for name in ours)
            parts += [f"*{table}", *emptied, *drops, *(f"-X {name}" for name in ours), "COMMIT"]
    return "\n".join([*parts, ""]) if parts else ""


def parse_saved(text: str) -> Tables:
    """The output of iptables-save."""
    tables: dict[str, dict[str, list[str]]] = {}
    chains: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            chains = tables.setdefault(line[1:], {})
        elif line.startswith(":"):
            chains.setdefault(line[1:].split(" ", 1)[0], [])
        elif line.startswith("-A "):
            _, name, rule = line.split(" ", 2)
            chains.setdefault(name, []).append(rule)
    return {
        table: {name: tuple(lines) for name, lines in chains.items()}
        for table, chains in tables.items()
    }


def our_part(saved: Tables) -> Tables:
    """Our chains, and of other chains the jumps into ours."""
    return {
        table: {
            name: lines if is_ours(name) else our_jumps(lines)
            for name, lines in chains.items()
            if is_ours(name) or our_jumps(lines)
        }
        for table, chains in saved.items()
        if table in JUMPS
    }


def is_ours(name: str) -> bool:
    return name.startswith(PREFIX) and not name.startswith(FOREIGN_PREFIX)


def our_jumps(lines: Sequence[str]) -> Lines:
    return tuple(line for line in lines if is_ours(line.rpartition("-j ")[2]))
