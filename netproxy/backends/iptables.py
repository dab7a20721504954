"""The iptables backend: one iptables-restore per change, only what changed, all or nothing."""

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from base import process
from base.process import ProcessFailure
from netproxy import conntrack
from netproxy.backends import BackendFailure
from netproxy.backends.iptables_rules import render
from netproxy.backends.iptables_tables import (
    Lines,
    Tables,
    change_text,
    missing,
    our_part,
    parse_saved,
    removal_text,
    unchanged,
)
from netproxy.model import RuleSet

logger = logging.getLogger("netproxy")

LOCK_WAIT_S = 5  # the xtables lock is shared with whoever else changes rules
ROUTE_LOCALNET = Path("/proc/sys/net/ipv4/conf/all/route_localnet")


class Run(Protocol):
    """`base.process.run`, or what a test has in its place."""

    async def __call__(self, name: str, *arguments: str, text: str = "") -> str: ...


class IptablesBackend:
    """Works with the nft and the legacy variant: whichever `iptables-restore` is."""

    def __init__(self, run: Run = process.run) -> None:
        self._run = run
        # What the kernel has: as rules, as we wrote it, and as iptables-save words it.
        self._flows_of = RuleSet()
        self._written: Tables = {}
        self._saved: Tables | None = None

    async def apply(self, rules: RuleSet) -> None:
        after = render(rules)
        if self._saved is None or not await self._change(after, self._saved):
            await self._rewrite(after)
        _allow_localhost(rules)
        if await _flush_stale_flows(self._flows_of, rules):
            self._flows_of = rules

    async def is_intact(self) -> bool:
        saved = await self._save()
        return self._saved is not None and our_part(saved) == our_part(self._saved)

    def forget(self) -> None:
        self._written, self._saved = {}, None

    async def cleanup(self) -> bool:
        try:
            process.find("iptables-save")
        except ProcessFailure as failure:
            logger.info("nothing to remove: %s", failure)
            return False
        saved = await self._save()
        text = removal_text(saved)
        if text:
            await self._restore(text)
            _forbid_localhost(saved)
        self.forget()
        return bool(text)

    async def _change(self, after: Tables, saved: Tables) -> bool:
        """Write what differs from last time. False when somebody else changed our rules since,
        so that nobody can say what is there now."""
        text = change_text(self._written, after, saved)
        if not text:
            return True
        try:
            await self._restore(text)
        except BackendFailure as failure:
            logger.warning("%s; writing all rules", failure)
            return False
        now = await self._save()
        kept = unchanged(self._written, after)
        if missing(after, now) or _only(kept, now) != _only(kept, saved):
            logger.warning("somebody changed our rules; writing them again")
            return False
        self._written, self._saved = after, now
        return True

    async def _rewrite(self, after: Tables) -> None:
        self.forget()
        text = change_text({}, after, await self._save())
        await self._restore(text)
        now = await self._save()
        if wrong := missing(after, now):
            raise BackendFailure(f"not as it was written: {', '.join(wrong)}")
        self._written, self._saved = after, now

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
            raise BackendFailure(str(failure)) from None


def _only(chains: set[tuple[str, str]], saved: Tables) -> dict[tuple[str, str], Lines | None]:
    return {(table, name): saved.get(table, {}).get(name) for table, name in chains}


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


async def _flush_stale_flows(before: RuleSet, after: RuleSet) -> bool:
    """UDP has no end of a connection: conntrack would go on sending to who is gone. Says whether
    nothing stale is left."""
    if conntrack.udp_part(before) == conntrack.udp_part(after):
        return True
    try:
        count = await asyncio.to_thread(conntrack.flush_stale, before, after)
    except OSError as error:
        logger.error("stale UDP flows were not forgotten: %s", error)
        return False
    if count:
        logger.info("forgot %d UDP flows to endpoints that are gone", count)
    return True
