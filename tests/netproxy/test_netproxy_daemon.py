"""Flags, the status page, stale UDP flows as values, and the program itself."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from base.clock import LoopClock
from netproxy import flags
from netproxy.conntrack import Flow, stale_flows
from netproxy.metrics import Metrics
from netproxy.model import RuleSet
from netproxy.statuspage import StatusPage, pages
from tests.cni.netlab import Lab, sh
from tests.netproxy.netproxy_objects import rules, service, slice_of

ROOT = Path(__file__).parents[2]


def test_flags_and_their_defaults() -> None:
    found = flags.parse([])
    assert (found.server, found.proxy_mode) == ("127.0.0.1:6444", "iptables")
    assert (found.min_sync_period_s, found.sync_period_s) == (0.1, 30.0)
    assert found.hostname_override
    found = flags.parse(
        [
            "--cluster-cidr",
            "10.0.0.0/8",
            "--nodeport-addresses",
            "192.0.2.0/24,198.51.100.7",
            "--iptables-localhost-nodeports=false",
            "--iptables-sync-period",
            "1m",
            "--iptables-min-sync-period",
            "250ms",
            "--hostname-override",
            "n1",
            "--cleanup",
            "-v",
            "4",
        ]
    )
    assert found.node_port_addresses == ("192.0.2.0/24", "198.51.100.7/32")
    assert (found.localhost_node_ports, found.cleanup, found.verbosity) == (False, True, 4)
    assert (found.min_sync_period_s, found.sync_period_s) == (0.25, 60.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--proxy-mode ipvs", "'ipvs' is not there yet; use iptables"),
        ("--proxy-mode nftables", "'nftables' is not there yet"),
        ("--proxy-mode userspace", "'userspace' is not a proxy mode"),
        ("--cluster-cidr fd00::/64", "IPv4 only"),
        ("--nodeport-addresses x", "IPv4 only"),
        ("--iptables-sync-period 0s", "not above zero"),
        ("--iptables-sync-period 5", "not a duration"),
        ("--iptables-localhost-nodeports maybe", "not true or false"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    arguments: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        flags.parse(arguments.split())
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def flow(destination: str, port: int, answerer: str, answerer_port: int = 5353) -> Flow:
    return Flow("192.0.2.2", 4000, destination, port, answerer, answerer_port)


DNS = (
    service("dns", vip="10.96.0.10", ports="53/UDP:30053", externalIPs=["203.0.113.7"]),
    slice_of("dns", "10.0.0.1", ports="5353/UDP"),
)


@pytest.mark.parametrize(
    ("found", "stale"),
    [
        (flow("10.96.0.10", 53, "10.0.0.1"), False),
        (flow("10.96.0.10", 53, "10.0.0.2"), True),
        (flow("10.96.0.10", 53, "10.0.0.1", 5354), True),
        (flow("10.96.0.10", 53, "10.96.0.10", 53), True),  # nobody had translated it
        (flow("10.96.0.10", 54, "10.0.0.2"), False),
        (flow("203.0.113.7", 53, "10.0.0.2"), True),
        (flow("192.0.2.1", 30053, "10.0.0.1"), False),
        (flow("192.0.2.1", 30053, "10.0.0.2"), True),
        (flow("8.8.8.8", 30053, "8.8.8.8", 30053), False),  # only on its way through
        (flow("10.96.0.66", 66, "10.0.0.6"), True),  # the Service is gone
    ],
)
def test_which_flows_are_stale(found: Flow, stale: bool) -> None:
    gone = rules(service("gone", vip="10.96.0.66", ports="66/UDP"))
    assert bool(stale_flows([found], gone, rules(*DNS), {"192.0.2.1"})) == stale


def test_tcp_is_never_stale() -> None:
    tcp = rules(service("web", ports="53/TCP"))
    assert stale_flows([flow("10.96.0.10", 53, "10.0.0.2")], RuleSet(), tcp, set()) == []


async def test_the_pages() -> None:
    clock = LoopClock()
    metrics = Metrics("iptables")
    page = StatusPage("127.0.0.1:1", pages(metrics, clock))
    head, _, body = page.answer(b"GET /healthz?x=1 HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert set(json.loads(body)) == {"lastUpdated", "currentTime"}
    assert b"kubeproxy_sync_proxy_rules_duration_seconds_bucket" in page.answer(
        b"GET /metrics HTTP/1.1\r\n\r\n"
    )
    assert page.answer(b"GET /proxyMode HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\niptables")
    assert page.answer(b"HEAD /proxyMode HTTP/1.0\r\n\r\n").endswith(b"\r\n\r\n")
    assert page.answer(b"GET /nope HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
    assert page.answer(b"POST /healthz HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405")
    metrics.change_queued(clock.monotonic_s() - 61)
    assert page.answer(b"GET /livez HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 503")
    for wrong in ("10249", ":10249", "127.0.0.1:x"):
        with pytest.raises(ValueError, match="is not <address>:<port>"):
            StatusPage(wrong, {})


@pytest.mark.realtime
@pytest.mark.needs("root")
async def test_the_page_is_served_and_survives_rude_clients(node: Lab) -> None:
    page = StatusPage("127.0.0.1:10249", pages(Metrics("iptables"), LoopClock()))
    await page.start()
    try:
        for data in (b"", b"x" * 10_000, b"GET /proxyMode HTTP/1.1\r\nHost: x\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", 10249)
            writer.write(data)
            writer.write_eof()
            try:
                answer = await reader.read()
            except ConnectionResetError:
                answer = b""
            writer.close()
        assert answer.endswith(b"iptables")
        with pytest.raises(OSError, match="address already in use"):
            await StatusPage("127.0.0.1:10249", {}).start()
    finally:
        await page.stop()


def program(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from netproxy.main import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )


@pytest.mark.needs("root", "iptables")
def test_cleanup_from_the_command_line(node: Lab) -> None:
    sh("iptables -t nat -N PINNACE-SERVICES")
    sh("iptables -t nat -A PREROUTING -j PINNACE-SERVICES")
    sh("iptables -A FORWARD -s 198.51.100.9 -j DROP")
    for _ in range(2):
        done = program("--cleanup")
        assert done.returncode == 0, done.stderr
        assert "PINNACE" not in sh("iptables-save")
        assert "198.51.100.9" in sh("iptables-save")


def test_a_missing_certificate_is_one_line_and_status_1() -> None:
    done = program("--ca-file", "/nope/ca.crt")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "/nope/ca.crt" in done.stderr
