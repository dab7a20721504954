"""iptables-restore --noflush and iptables-save over a dict: what they accept, refuse and commit.

As strict as the real ones where it matters to us: a table is committed whole or not at all, a
rule that is deleted must be there, a chain that is removed must be empty and unreferenced, a jump
must lead somewhere.
"""

import re

from base.process import ProcessFailure
from netproxy.backends.iptables_tables import Tables

BUILTIN = {
    "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"),
    "filter": ("INPUT", "FORWARD", "OUTPUT"),
}
TARGETS = {"ACCEPT", "DROP", "REJECT", "RETURN", "MASQUERADE", "DNAT", "MARK"}


class FakeIptables:
    def __init__(self) -> None:
        self.tables: dict[str, dict[str, list[str]]] = {
            table: {chain: [] for chain in chains} for table, chains in BUILTIN.items()
        }
        self.restored: list[str] = []
        self.fail_next = False

    async def run(self, name: str, *arguments: str, text: str = "") -> str:
        if name == "iptables-save":
            return self.save()
        assert name == "iptables-restore"
        assert "--noflush" in arguments
        if self.fail_next:
            self.fail_next = False
            raise ProcessFailure("iptables-restore: Resource temporarily unavailable")
        self.restore(text)
        return ""

    def save(self) -> str:
        lines = []
        for table, chains in self.tables.items():
            lines += ["# a comment", f"*{table}"]
            lines += [f":{chain} - [0:0]" for chain in chains]
            lines += [f"-A {chain} {rule}" for chain, rules in chains.items() for rule in rules]
            lines.append("COMMIT")
        return "\n".join(lines) + "\n"

    def restore(self, text: str) -> None:
        self.restored.append(text)
        assert text.endswith("COMMIT\n")
        name, chains = "", {}
        for line in text.splitlines():
            if line.startswith("*"):
                name = line[1:]
                chains = {chain: list(rules) for chain, rules in self.tables[name].items()}
            elif line == "COMMIT":
                self._check(name, chains)
                self.tables[name] = chains
            else:
                self._line(name, chains, line)

    def _line(self, table: str, chains: dict[str, list[str]], line: str) -> None:
        if line.startswith(":"):
            chain = line[1:].split(" ")[0]
            assert chain not in BUILTIN[table], f"a line that flushes {chain}"
            chains[chain] = []
            return
        verb, chain, *rest = line.split(" ")
        rule = " ".join(rest)
        if verb == "-A":
            chains[chain].append(rule)
        elif verb == "-I":
            number, rule = rule.split(" ", 1)
            assert int(number) <= len(chains[chain]) + 1, line
            chains[chain].insert(int(number) - 1, rule)
        elif verb == "-D":
            assert rule in chains[chain], f"no such rule: {line}"
            chains[chain].remove(rule)
        elif verb == "-X":
            assert chains[chain] == [], f"not empty: {line}"
            del chains[chain]
        else:
            raise AssertionError(f"unknown: {line}")

    def _check(self, table: str, chains: dict[str, list[str]]) -> None:
        for chain, rules in chains.items():
            assert len(chain) <= 28, chain
            for rule in rules:
                target = re.findall(r"-j (\S+)", rule)
                assert target, rule
                assert target[0] in TARGETS or target[0] in chains, f"{table} {chain}: {rule}"

    def ours(self) -> Tables:
        return {
            table: {
                chain: tuple(rules) for chain, rules in chains.items() if chain[:8] == "PINNACE-"
            }
            for table, chains in self.tables.items()
        }
