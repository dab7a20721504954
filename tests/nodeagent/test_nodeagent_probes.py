"""Probes: what a row of results means, and each kind of probe against a server of the test."""

import asyncio
from typing import Any

import pytest

from kubeapi.types import core_v1
from nodeagent.cri import CriClient
from nodeagent.probes.checks import (
    BadProbe,
    Outcome,
    ProbeResult,
    ProbeTarget,
    check,
    resolve_port,
)
from nodeagent.probes.counting import Counter, ProbeKind, first_delay_s, next_delay_s
from nodeagent.probes.http import HttpProblem, HttpTarget, http_get

GOOD, BAD, ODD = Outcome.SUCCESS, Outcome.FAILURE, Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "fields", "results", "verdicts"),
    [
        (ProbeKind.READINESS, {}, [GOOD], [True]),
        (ProbeKind.READINESS, {}, [GOOD, BAD, BAD, BAD], [True, True, True, False]),
        (ProbeKind.READINESS, {}, [GOOD, BAD, BAD, GOOD, BAD, BAD], [True] * 6),
        (ProbeKind.READINESS, {"successThreshold": 2}, [GOOD, GOOD], [False, True]),
        (ProbeKind.READINESS, {}, [GOOD, ODD, ODD, ODD], [True] * 4),
        (ProbeKind.READINESS, {}, [Outcome.WARNING], [True]),
        (ProbeKind.LIVENESS, {}, [BAD, BAD, BAD], [True, True, False]),
        (ProbeKind.LIVENESS, {"failureThreshold": 1}, [BAD], [False]),
        (ProbeKind.STARTUP, {}, [BAD, BAD, GOOD], [None, None, True]),
        (ProbeKind.STARTUP, {}, [BAD, BAD, BAD], [None, None, False]),
    ],
)
def test_verdicts(
    kind: ProbeKind, fields: dict[str, Any], results: list[Outcome], verdicts: list[bool | None]
) -> None:
    counter = Counter(core_v1.Probe(**fields), kind)
    seen = []
    for result in results:
        before = counter.verdict
        changed = counter.take(result)
        assert changed == (counter.verdict != before)
        seen.append(counter.verdict)
    assert seen == verdicts


def test_when_the_next_probe_is_due() -> None:
    probe = core_v1.Probe(initialDelaySeconds=5, periodSeconds=10)
    assert (first_delay_s(probe, 0.0), first_delay_s(probe, 7.0)) == (5.0, 0.0)
    assert first_delay_s(core_v1.Probe(), 0.0) == 0.0
    early = Counter(probe, ProbeKind.READINESS)
    delays = [next_delay_s(early, done) for done in range(1, 8)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 10.0, 10.0]
    early.take(GOOD)
    assert next_delay_s(early, 1) == 10.0
    assert next_delay_s(Counter(probe, ProbeKind.LIVENESS), 1) == 10.0


def test_ports_by_name_and_number() -> None:
    container = core_v1.Container(
        name="a", ports=[core_v1.ContainerPort(name="web", containerPort=8080)]
    )
    assert [resolve_port(p, container) for p in (80, "81", "web")] == [80, 81, 8080]
    for wrong in ("none", 0, 70_000):
        with pytest.raises(BadProbe):
            resolve_port(wrong, container)


async def serve(answer: bytes) -> tuple[asyncio.Server, int, list[bytes]]:
    """A server that gives `answer` to every request, and the requests it got."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # a client that connects and leaves has asked for nothing
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    return server, port, asked


def target(port: int) -> ProbeTarget:
    return ProbeTarget(core_v1.Container(name="a"), "id", "127.0.0.1")


async def probe_http(port: int, **fields: Any) -> ProbeResult:
    action = core_v1.HTTPGetAction(port=port, **fields)
    cri = CriClient("unix:///nowhere")
    try:
        return await check(cri, core_v1.Probe(httpGet=action), target(port))
    finally:
        await cri.close()


@pytest.mark.realtime
@pytest.mark.parametrize(
    ("answer", "outcome", "output"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nfine", GOOD, "fine"),
        (b"HTTP/1.1 399 Odd\r\n\r\n", GOOD, ""),
        (b"HTTP/1.1 500 No\r\n\r\nwhy", BAD, "HTTP probe failed with statuscode: 500"),
        (
            b"HTTP/1.1 302 F\r\nLocation: http://192.0.2.1/x\r\n\r\nbody",
            Outcome.WARNING,
            "Probe terminated redirects, Response body: body",
        ),
    ],
)
async def test_http_answers(answer: bytes, outcome: Outcome, output: str) -> None:
    server, port, asked = await serve(answer)
    headers = [
        core_v1.HTTPHeader(name="X-Test", value="1"),
        core_v1.HTTPHeader(name="Host", value="h"),
    ]
    try:
        result = await probe_http(port, path="p?q=1", httpHeaders=headers)
    finally:
        server.close()
    assert (result.outcome, result.output) == (outcome, output)
    lines = asked[0].decode().split("\r\n")
    assert lines[0] == "GET /p?q=1 HTTP/1.1"
    assert {"X-Test: 1", "Host: h", "User-Agent: kube-probe/1.36"} <= set(lines)
    assert sum(line.startswith("Host:") for line in lines) == 1


@pytest.mark.realtime
async def test_redirects_on_the_same_host_are_followed_but_not_for_ever() -> None:
    server, port, asked = await serve(b"HTTP/1.1 302 F\r\nLocation: /again\r\n\r\n")
    try:
        result = await probe_http(port)
    finally:
        server.close()
    assert result.outcome is BAD
    assert "stopped after 10 redirects" in result.output
    assert len(asked) == 10


@pytest.mark.realtime
async def test_what_is_no_http_or_nobody_there_fails_with_a_reason() -> None:
    server, port, _ = await serve(b"hello\r\n\r\n")
    result = await probe_http(port)
    server.close()
    await server.wait_closed()
    assert result.outcome is BAD
    refused = await probe_http(port)
    assert refused.output == (
        f'Get "http://127.0.0.1:{port}/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


@pytest.mark.realtime
async def test_a_server_that_hangs_is_given_its_time_and_no_more() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(HttpProblem, match="context deadline exceeded"):
        await http_get(HttpTarget("http", "127.0.0.1", port, "/"), 0.1)
    server.close()
    await asyncio.sleep(0.05)


@pytest.mark.realtime
async def test_tcp() -> None:
    server, port, _ = await serve(b"")
    cri = CriClient("unix:///nowhere")
    probe = core_v1.Probe(tcpSocket=core_v1.TCPSocketAction(port=port))
    open_ = await check(cri, probe, target(port))
    server.close()
    await server.wait_closed()
    closed = await check(cri, probe, target(port))
    await cri.close()
    assert (open_.outcome, closed.outcome) == (GOOD, BAD)
    assert closed.output.endswith("connect: connection refused")
