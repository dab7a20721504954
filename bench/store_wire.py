"""The etcd API on the wire: our raftstore beside Debian's etcd-server, the same work, in one run.

    python bench/store_wire.py [--rounds 5] [--puts 20000] [--only one,three,watch]

Members run on loopback in the clear, on one disk. The load is made by h2load (Debian's
nghttp2-client), which costs a tenth of what it asks for; watchers are Python. `echo` is
a bare grpc.aio server that answers the same requests with nothing: what Python's gRPC alone costs.
Prints the median of the rounds, both columns, and what the second is of the first.
"""

import argparse
import asyncio
import os

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import contextlib
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import uvloop

from pinnace_wire import etcd_rpc_pb2 as rpc

TOP = Path(__file__).resolve().parent.parent
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
VALUE = bytes(range(32, 96)) * 16
WATCHERS, EVENTS = 100, 5000
START_LIMIT_S = 30.0


@dataclass
class Member:
    process: subprocess.Popen[bytes]
    client_port: int

    @property
    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    @property
    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"RssAnon:\s+(\d+)", status)
        assert found is not None
        return int(found[1]) / 1024


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


def program(kind: str) -> list[str]:
    if kind == "etcd":
        return ["etcd", "--logger", "zap", "--log-level", "error"]
    return [sys.executable, "-m", "cluster.main", "raftstore"]


@contextlib.contextmanager
def cluster(kind: str, size: int, directory: Path) -> Iterator[list[Member]]:
    """Members of "etcd" or "pinnace", the leader first."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    ports = free_ports(2 * size)
    clients, peers = ports[:size], ports[size:]
    named = ",".join(f"m{n}=http://127.0.0.1:{port}" for n, port in enumerate(peers))
    members = []
    for number in range(size):
        client, peer = (f"http://127.0.0.1:{p[number]}" for p in (clients, peers))
        argv = [
            *program(kind), "--name", f"m{number}", "--data-dir", str(directory / f"m{number}"),
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", named, "--quota-backend-bytes", str(8 << 30),
        ]  # fmt: skip
        log = (directory / f"m{number}.log").open("wb")
        process = subprocess.Popen(argv, cwd=TOP, stdout=log, stderr=log)
        members.append(Member(process, clients[number]))
    try:
        leader = asyncio.run(find_leader(members))
        yield [leader, *(member for member in members if member is not leader)]
    finally:
        for member in members:
            member.process.kill()
            member.process.wait()


@contextlib.contextmanager
def echo(directory: Path) -> Iterator[list[Member]]:
    [port] = free_ports(1)
    process = subprocess.Popen([sys.executable, __file__, "--echo", str(port)], cwd=TOP)
    try:
        asyncio.run(until_answers(port))
        yield [Member(process, port)]
    finally:
        process.kill()
        process.wait()


async def serve_echo(port: int) -> None:
    async def put(request: rpc.PutRequest, context: object) -> rpc.PutResponse:
        return rpc.PutResponse()

    handler = grpc.unary_unary_rpc_method_handler(
        put, rpc.PutRequest.FromString, rpc.PutResponse.SerializeToString
    )
    server = grpc.aio.server()
    service = grpc.method_handlers_generic_handler("etcdserverpb.KV", {"Put": handler})
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


async def until_answers(port: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        async with asyncio.timeout(START_LIMIT_S):
            await channel.channel_ready()


async def find_leader(members: Sequence[Member]) -> Member:
    start_s = time.perf_counter()
    while time.perf_counter() - start_s < START_LIMIT_S:
        for member in members:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{member.client_port}") as channel:
                ask = channel.unary_unary(
                    "/etcdserverpb.Maintenance/Status",
                    rpc.StatusRequest.SerializeToString,
                    rpc.StatusResponse.FromString,
                )
                with contextlib.suppress(grpc.aio.AioRpcError):
                    status = await ask(rpc.StatusRequest(), timeout=2)
                    if status.leader and status.leader == status.header.member_id:
                        # The others are to have heard of it too.
                        await asyncio.sleep(1)
                        return member
        await asyncio.sleep(0.1)
    raise SystemExit("the cluster has no leader after 30 s")


# -- the work


def put_load(member: Member, clients: int, puts: int, directory: Path) -> tuple[float, float]:
    """(puts per second, p50 in ms) of `clients` that each wait for their answer."""
    message = rpc.PutRequest(key=b"/bench/key", value=VALUE).SerializeToString()
    body, log = directory / "body", directory / "h2load.log"
    body.write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
    log.unlink(missing_ok=True)
    url = f"http://127.0.0.1:{member.client_port}/etcdserverpb.KV/Put"
    argv = [
        "h2load", "-n", str(puts), "-c", str(clients), "-m", "1", "-d", str(body),
        "-H", "content-type: application/grpc", "-H", "te: trailers", f"--log-file={log}", url,
    ]  # fmt: skip
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=300)
    rate = re.search(r"([\d.]+) req/s", done.stdout)
    if rate is None or f"{puts} succeeded" not in done.stdout:
        raise SystemExit(f"h2load: {done.stdout}")
    durations = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return float(rate[1]), durations[len(durations) // 2] / 1000


def put_round(kind: str, members: list[Member], puts: int, directory: Path) -> dict[str, float]:
    leader = members[0]
    put_load(leader, 8, 1000, directory)
    _, one_ms = put_load(leader, 1, 3000, directory)
    before_s = sum(member.cpu_s for member in members)
    per_second, p50_ms = put_load(leader, 64, puts, directory)
    cpu_us = (sum(member.cpu_s for member in members) - before_s) / puts * 1e6
    return {
        "one client, put p50 ms": one_ms,
        "64 clients, puts/s": per_second,
        "64 clients, put p50 ms": p50_ms,
        "CPU us per put, all members": cpu_us,
        "RssAnon MB, all members": sum(member.memory_mb for member in members),
    }


def watch_round(members: list[Member], directory: Path) -> dict[str, float]:
    """Watchers in a process of their own hear every put."""
    port = str(members[0].client_port)
    watching = subprocess.Popen(
        [sys.executable, __file__, "--watch", port], cwd=TOP, stdout=subprocess.PIPE
    )
    assert watching.stdout is not None
    watching.stdout.readline()
    start_s = time.perf_counter()
    put_load(members[0], 64, EVENTS, directory)
    puts_s = time.perf_counter() - start_s
    watching.stdout.readline()
    all_s = time.perf_counter() - start_s
    watching.wait(10)
    return {
        f"events/s to {WATCHERS} watchers": WATCHERS * EVENTS / all_s,
        "  of which the puts took s": puts_s,
    }


async def watch(port: int) -> None:
    """Ten streams with ten watches each; says when they stand and when all have heard all."""
    heard = [0] * 10

    async def one_stream(channel: grpc.aio.Channel, number: int, ready: asyncio.Event) -> None:
        call = channel.stream_stream(
            "/etcdserverpb.Watch/Watch",
            rpc.WatchRequest.SerializeToString,
            rpc.WatchResponse.FromString,
        )()
        for _ in range(WATCHERS // 10):
            create = rpc.WatchCreateRequest(key=b"/bench/", range_end=b"/bench0")
            await call.write(rpc.WatchRequest(create_request=create))
        created = 0
        while heard[number] < EVENTS * WATCHERS // 10:
            response = await call.read()
            heard[number] += len(response.events)
            created += response.created
            if created == WATCHERS // 10:
                ready.set()

    readies = [asyncio.Event() for _ in heard]
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for number, ready in enumerate(readies):
            # A connection each: ten clients, not one.
            options = [("grpc.use_local_subchannel_pool", 1)]
            channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options)
            streams.append(one_stream(await stack.enter_async_context(channel), number, ready))
        waiting = asyncio.gather(*streams)
        for ready in readies:
            await ready.wait()
        print("ready", flush=True)
        await waiting
    print("done", flush=True)


# -- the report


def compare(name: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    kinds = list(rounds)
    print(f"\n{name}\n  {'':32}" + "".join(f"{kind:>14}" for kind in kinds) + f"{'ours/etcd':>12}")
    for row in rounds["pinnace"][0]:
        medians = {
            kind: statistics.median(one[row] for one in rounds[kind] if row in one)
            for kind in kinds
        }
        ratio = medians["pinnace"] / medians["etcd"]
        values = "".join(f"{medians[kind]:>14,.2f}" for kind in kinds)
        print(f"  {row:32}{values}{ratio:>12.2f}")


def run(directory: Path, puts: int, rounds: int, only: Sequence[str]) -> None:
    """The rounds of the columns alternate: a machine that grows slower does so for all."""
    one: dict[str, list[dict[str, float]]] = {"echo": [], "etcd": [], "pinnace": []}
    three: dict[str, list[dict[str, float]]] = {"etcd": [], "pinnace": []}
    watches: dict[str, list[dict[str, float]]] = {"etcd": [], "pinnace": []}
    for _ in range(rounds):
        if "one" in only:
            with echo(directory) as members:
                one["echo"].append(put_round("echo", members, puts, directory))
        for kind in ("etcd", "pinnace"):
            if "one" in only or "watch" in only:
                with cluster(kind, 1, directory / "members") as members:
                    if "one" in only:
                        one[kind].append(put_round(kind, members, puts, directory))
                    if "watch" in only:
                        watches[kind].append(watch_round(members, directory))
            if "three" in only:
                with cluster(kind, 3, directory / "members") as members:
                    three[kind].append(put_round(kind, members, puts, directory))
    for name, found in (("one member", one), ("three members", three), ("watches", watches)):
        if found["pinnace"]:
            compare(name, found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--puts", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="one,three,watch")
    parser.add_argument("--directory", type=Path, help="on the disk to measure")
    parser.add_argument("--echo", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--watch", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.echo:
        uvloop.run(serve_echo(given.echo))
    elif given.watch:
        uvloop.run(watch(given.watch))
    else:
        for tool in ("etcd", "h2load"):
            if shutil.which(tool) is None:
                raise SystemExit(f"needs {tool}: apt-get install etcd-server nghttp2-client")
        with tempfile.TemporaryDirectory(dir=given.directory, prefix="pinnace-bench-") as name:
            print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, 1 KB values, {name}")
            run(Path(name), given.puts, given.rounds, given.only.split(","))


if __name__ == "__main__":
    main()
