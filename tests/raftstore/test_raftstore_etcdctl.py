"""The real etcdctl, unmodified (Debian's etcd-client, 3.4), against a served member."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from etcd_services import Served, served

from base import tls
from base.clock import SystemClock
from raftstore.mvcc import AlarmKind
from raftstore.server import serve

pytestmark = [pytest.mark.realtime, pytest.mark.needs("etcdctl")]

_DEADLINE_S = 30


class Etcdctl:
    def __init__(self, address: str) -> None:
        self._command = ["etcdctl", "--endpoints", address, "--command-timeout", "10s"]

    async def run(self, *arguments: str, stdin: str = "") -> tuple[int, str, str]:
        """Exit code, output, complaints."""
        async with self.started(*arguments) as process, asyncio.timeout(_DEADLINE_S):
            out, err = await process.communicate(stdin.encode())
        return process.returncode or 0, out.decode(), err.decode()

    async def say(self, *arguments: str, stdin: str = "") -> str:
        """The output of what goes well."""
        code, out, err = await self.run(*arguments, stdin=stdin)
        assert code == 0, f"etcdctl {' '.join(arguments)}: {err}"
        return out

    async def json(self, *arguments: str) -> Any:
        return json.loads(await self.say(*arguments, "--write-out", "json"))

    @asynccontextmanager
    async def started(self, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *self._command, *arguments, stdin=pipe, stdout=pipe, stderr=pipe,
            env=os.environ | {"ETCDCTL_API": "3"},
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


@asynccontextmanager
async def etcdctl(directory: Path) -> AsyncIterator[tuple[Etcdctl, Served]]:
    async with served(directory) as it:
        yield Etcdctl(it.address), it


async def lines(process: asyncio.subprocess.Process, count: int) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(_DEADLINE_S):
        return [(await process.stdout.readline()).decode().rstrip("\n") for _ in range(count)]


async def fill(ctl: Etcdctl) -> None:
    for key, value in [("a", "3"), ("b", "1"), ("c", "2"), ("d/1", "4")]:
        assert await ctl.say("put", key, value) == "OK\n"


async def test_put_and_get(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        assert await ctl.say("get", "a") == "a\n3\n"
        assert await ctl.say("get", "a", "c") == "a\n3\nb\n1\n"
        assert await ctl.say("get", "d", "--prefix", "--keys-only") == "d/1\n\n"
        assert await ctl.say("get", "b", "--from-key", "--print-value-only") == "1\n2\n4\n"
        assert await ctl.say("get", "nothing") == ""
        assert await ctl.say("get", "a", "--consistency=s") == "a\n3\n"
        assert await ctl.say("put", "a", "5", "--prev-kv") == "OK\na\n3\n"


async def test_sorts_limits_and_counts(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        sort = ("get", "", "--from-key", "--print-value-only", "--sort-by")
        assert await ctl.say(*sort, "value") == "1\n2\n3\n4\n"
        assert await ctl.say(*sort, "key", "--order=descend") == "4\n2\n1\n3\n"
        assert await ctl.say(*sort, "create", "--order=descend", "--limit=2") == "4\n2\n"
        found = await ctl.json("get", "", "--from-key", "--limit=1")
        assert (found["count"], found["more"], len(found["kvs"])) == (4, True, 1)


async def test_old_revisions_until_they_are_compacted(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        for value in ("1", "2", "3"):
            await ctl.say("put", "a", value)
        assert await ctl.say("get", "a", "--rev=3") == "a\n2\n"
        assert await ctl.say("compaction", "4", "--physical") == "compacted revision 4\n"
        code, _, err = await ctl.run("get", "a", "--rev=3")
        assert code != 0
        assert "etcdserver: mvcc: required revision has been compacted" in err
        code, _, err = await ctl.run("get", "a", "--rev=99")
        assert code != 0
        assert "etcdserver: mvcc: required revision is a future revision" in err


async def test_deletions(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        assert await ctl.say("del", "a", "--prev-kv") == "1\na\n3\n"
        assert await ctl.say("del", "a") == "0\n"
        assert await ctl.say("del", "", "--prefix") == "3\n"


async def test_a_transaction(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        text = 'value("a") = "3"\n\nput a 4\nget b\n\nput a 5\n\n'
        assert await ctl.say("txn", stdin=text) == "SUCCESS\n\nOK\n\nb\n1\n"
        assert await ctl.say("txn", stdin=text) == "FAILURE\n\nOK\n"
        assert await ctl.say("get", "a") == "a\n5\n"


async def test_a_watch(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        async with ctl.started("watch", "a", "--rev=2", "--prev-kv") as watch:
            assert await lines(watch, 3) == ["PUT", "a", "3"]
            await ctl.say("put", "a", "4")
            assert await lines(watch, 5) == ["PUT", "a", "3", "a", "4"]
            await ctl.say("del", "a")
            assert await lines(watch, 5) == ["DELETE", "a", "4", "a", ""]


async def test_a_watch_of_what_is_compacted(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        await ctl.say("compaction", "4")
        async with ctl.started("watch", "a", "--rev=2") as watch:
            async with asyncio.timeout(_DEADLINE_S):
                _, err = await watch.communicate()
        assert b"required revision has been compacted" in err


async def test_leases(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        granted = await ctl.say("lease", "grant", "100")
        lease = granted.split()[1]
        assert granted == f"lease {lease} granted with TTL(100s)\n"
        await ctl.say("put", "a", "1", f"--lease={lease}")
        told = await ctl.say("lease", "timetolive", lease, "--keys")
        assert told.startswith(f"lease {lease} granted with TTL(100s), remaining(")
        assert told.endswith("attached keys([a])\n")
        assert await ctl.say("lease", "list") == f"found 1 leases\n{lease}\n"
        kept = await ctl.say("lease", "keep-alive", "--once", lease)
        assert kept == f"lease {lease} keepalived with TTL(100)\n"
        assert await ctl.say("lease", "revoke", lease) == f"lease {lease} revoked\n"
        assert await ctl.say("get", "a") == ""
        gone = await ctl.say("lease", "timetolive", lease)
        assert gone == f"lease {lease} already expired\n"


async def test_a_lock_passes_to_who_waits(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, it), ctl.started("lock", "name") as first:
        (held,) = await lines(first, 1)
        assert held.startswith("name/")
        async with ctl.started("lock", "name") as second:
            await _until(lambda: len(it.node.state.keyspace.live) == 2)
            first.send_signal(signal.SIGINT)
            (next_held,) = await lines(second, 1)
            assert next_held.startswith("name/")
            assert next_held != held


async def test_an_election_is_won_and_observed(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, it), ctl.started("elect", "name", "me") as leader:
        key, value = await lines(leader, 2)
        assert (key.partition("/")[0], value) == ("name", "me")
        async with ctl.started("elect", "--listen", "name") as observer:
            assert await lines(observer, 2) == [key, "me"]
            async with ctl.started("elect", "name", "you") as next_leader:
                await _until(lambda: len(it.node.state.keyspace.live) == 2)
                leader.send_signal(signal.SIGINT)
                next_key, value = await lines(next_leader, 2)
                assert value == "you"
                assert await lines(observer, 2) == [next_key, "you"]


async def test_members(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, it):
        (member,) = (await ctl.json("member", "list"))["members"]
        assert member["ID"] == it.node.member_id
        code, _, err = await ctl.run("member", "remove", "7")
        assert (code != 0, "etcdserver: member not found" in err) == (True, True)
        learner = ("member", "add", "x", "--learner", "--peer-urls=http://127.0.0.1:1")
        assert " added to cluster " in await ctl.say(*learner)
        found = (await ctl.json("member", "list"))["members"]
        (added,) = [member for member in found if member.get("isLearner")]
        assert added["peerURLs"] == ["http://127.0.0.1:1"]
        code, _, err = await ctl.run(*learner[:-1], "--peer-urls=http://127.0.0.1:2")
        assert (code != 0, "etcdserver: too many learner members in cluster" in err) == (True, True)
        code, _, err = await ctl.run("member", "promote", f"{added['ID']:x}")
        assert code != 0
        assert "can only promote a learner member which is in sync with leader" in err
        assert " removed from cluster " in await ctl.say("member", "remove", f"{added['ID']:x}")


async def test_what_an_endpoint_says_of_itself(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, it):
        await fill(ctl)
        (status,) = await ctl.json("endpoint", "status")
        assert status["Status"]["version"].startswith("3.6.")
        assert status["Status"]["leader"] == it.node.member_id
        assert status["Status"]["header"]["revision"] == 5
        (health,) = await ctl.json("endpoint", "health")
        assert health["health"] is True
        (hashed,) = await ctl.json("endpoint", "hashkv")
        assert hashed["HashKV"]["hash"] == (await it.node.hash_kv(0)).hash


async def test_alarms_are_listed_and_disarmed(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, it):
        assert await ctl.say("alarm", "list") == ""
        member_id = it.node.member_id
        await it.node.set_alarm(member_id, AlarmKind.NOSPACE, active=True)
        alarm = f"memberID:{member_id} alarm:NOSPACE \n"
        assert await ctl.say("alarm", "list") == alarm
        code, _, err = await ctl.run("put", "a", "1")
        assert (code != 0, "etcdserver: mvcc: database space exceeded" in err) == (True, True)
        assert await ctl.say("alarm", "disarm") == alarm
        assert await ctl.say("put", "a", "1") == "OK\n"


async def test_a_snapshot_is_saved_with_its_checksum(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        path = tmp_path / "backup"
        saved = await ctl.say("snapshot", "save", str(path))
        assert saved == f"Snapshot saved at {path}\n"
        # What etcdctl takes for a whole file: blocks of 512, and a SHA-256.
        assert path.stat().st_size % 512 == 32


async def test_defragmentation_is_accepted(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        await fill(ctl)
        await ctl.say("compaction", "5")
        assert (await ctl.say("defrag")).startswith("Finished defragmenting etcd member")


async def test_only_another_member_can_take_over(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        code, _, err = await ctl.run("move-leader", "7")
        assert (code != 0, "etcdserver: bad leader transferee" in err) == (True, True)


async def test_users_are_not_known(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        code, _, err = await ctl.run("user", "list")
        assert (code != 0, "etcdserver: authentication is not enabled" in err) == (True, True)


async def test_over_tls_only_certificates_of_the_ca_may_call(tmp_path: Path) -> None:
    now_s = SystemClock().now_s()
    ca = tls.make_ca("store", now_s)
    pair = tls.issue(ca, "member", now_s, hosts=["127.0.0.1"])
    credentials = grpc.ssl_server_credentials(
        [(pair.key_pem, pair.cert_pem)], ca.cert_pem, require_client_auth=True
    )
    ca_path, cert_path, key_path = (tmp_path / name for name in ("ca", "cert", "key"))
    tls.issue(ca, "client", now_s).write(cert_path, key_path)
    ca_path.write_bytes(ca.cert_pem)
    async with etcdctl(tmp_path) as (_, it):
        server = await serve(it.node, ["127.0.0.1:0"], credentials)
        ctl = Etcdctl(f"https://127.0.0.1:{server.ports[0]}")
        certificate = (f"--cert={cert_path}", f"--key={key_path}")
        assert await ctl.say("put", "a", "1", f"--cacert={ca_path}", *certificate) == "OK\n"
        code, _, _ = await ctl.run("get", "a", f"--cacert={ca_path}", "--command-timeout=1s")
        assert code != 0
        await server.stop(0)


@pytest.mark.long
async def test_the_performance_check_runs_to_its_end(tmp_path: Path) -> None:
    async with etcdctl(tmp_path) as (ctl, _):
        async with ctl.started("check", "perf", "--load=s") as check, asyncio.timeout(120):
            out, _ = await check.communicate()
        # How fast it was depends on what else the machine does.
        assert b"writes/s" in out


async def _until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
