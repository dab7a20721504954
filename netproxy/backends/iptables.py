"""The iptables backend: one iptables-restore per change, only what changed, all or nothing."""

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from netproxy import conntrack, process
from netproxy.backends import BackendFailure
from netproxy.backends.iptables_text import (
    Tables,
    change_text,
    our_part,
    parse_saved,
    removal_text,
    render,
)
from netproxy.model import RuleSet
from netproxy.process import ProcessFailure

logger = logging.getLogger("netproxy")

LOCK_WAIT_S = 5  # the xtables lock is shared with whoever else changes rules
ROUTE_LOCALNET = Path("/proc/sys/net/ipv4/conf/all/route_localnet")


class Run(Protocol):
    """`netproxy.process.run`, or what a test has in its place."""

    async def __call__(self, name: str, *arguments: str, text: str = "") -> str: ...


class IptablesBackend:
    """Works with the nft and the legacy variant: whichever `iptables-restore` is."""

    def __init__(self, run: Run = process.run) -> None:
        self._run = run
        self._rules = RuleSet()
        # What we wrote, and how iptables-save words it; empty while unknown.
        self._written: Tables = {}
        self._fingerprint: Tables | None = None
        self._saved: Tables | None = None

    async def apply(self, rules: RuleSet) -> None:
        after = render(rules)
        if self._saved is None:
            self._saved = await self._save()
        text = change_text(self._written, after, self._saved)
        if text:
            try:
                await self._restore(text)
                self._saved = await self._save()
                _refuse_missing(after, self._saved)
            except BackendFailure:
                self.forget()
                raise
            self._fingerprint = our_part(self._saved)
        self._written = after
        _allow_localhost(rules)
        await _flush_stale_flows(self._rules, rules)
        self._rules = rules

    async def is_intact(self) -> bool:
        saved = await self._save()
        return our_part(saved) == self._fingerprint

    def forget(self) -> None:
        self._written, self._saved, self._fingerprint = {}, None, None

    async def cleanup(self) -> bool:
        saved = await self._save()
        text = removal_text(saved)
        if text:
            await self._restore(text)
            _forbid_localhost(saved)
        self.forget()
        return bool(text)

    async def _save(self) -> Tables:
        try:
            return parse_saved(await self._run("iptables-save"))
        except ProcessFailure as failure:
            raise BackendFailure(str(failure)) from None

    async def _restore(self, text: str) -> None:
        arguments = ("-w", str(LOCK_WAIT_S), "--noflush")
        try:
            await self._run("iptables-restore", *arguments, text=text)
        except ProcessFailure as failure:
            raise BackendFailure(f"{failure}; nothing was changed") from None


def _refuse_missing(after: Tables, saved: Tables) -> None:
    """Read back: every chain has as many rules as were written. Words differ, counts do not."""
    for table, chains in after.items():
        for name, lines in chains.items():
            present = saved.get(table, {}).get(name)
            if present is None or len(present) != len(lines):
                raise BackendFailure(f"chain {name} of table {table} is not as it was written")


def _allow_localhost(rules: RuleSet) -> None:
    """127.0.0.1:<node port> needs the kernel to route from the loopback network; the chain
    PINNACE-FIREWALL keeps others from making use of it (CVE-2020-8558)."""
    wants = rules.localhost_node_ports and not rules.node_port_addresses
    if wants and any(port.node_port for port in rules.services):
        try:
            if ROUTE_LOCALNET.read_text().strip() != "1":
                ROUTE_LOCALNET.write_text("1")
        except OSError as error:
            logger.warning("node ports do not answer on 127.0.0.1: %s", error)


def _forbid_localhost(saved: Tables) -> None:
    """Without our guard the setting would be a hole; a kube-proxy here has a guard of its own."""
    if not any(name.startswith("KUBE-") for name in saved.get("nat", {})):
        try:
            ROUTE_LOCALNET.write_text("0")
        except OSError as error:
            logger.warning("cannot reset %s: %s", ROUTE_LOCALNET, error)


async def _flush_stale_flows(before: RuleSet, after: RuleSet) -> None:
    """UDP has no end of a connection: conntrack would go on sending to who is gone."""
    if conntrack.udp_part(before) == conntrack.udp_part(after):
        return
    try:
        count = await asyncio.to_thread(conntrack.flush_stale, before, after)
    except OSError as error:
        logger.error("stale UDP flows were not forgotten: %s", error)
        return
    if count:
        logger.info("forgot %d UDP flows to endpoints that are gone", count)
