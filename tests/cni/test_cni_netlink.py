"""Every ensure_* on a real kernel, in a namespace of its own: made, made again, tampered with."""

import errno
import threading

import pytest
from pyroute2.netlink.exceptions import NetlinkDumpInterrupted

from cni.server import netlink
from cni.server.errors import NetworkFailure
from cni.server.namespaces import in_namespace, set_sysctl
from cni.server.netlink import Link, Netlink, NetlinkFailure
from tests.cni.netlab import Lab, Space, sh

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root")]
MAC = "0a:58:0a:f4:00:01"
POD_MAC = "0a:58:0a:f4:00:02"


def bridge(host: Netlink) -> Link:
    return host.ensure_bridge("pinnace0", MAC, 1500)


def pair(host: Netlink, pod: Space) -> tuple[Link, Link]:
    made = bridge(host)
    with in_namespace(pod.path), Netlink() as inside:
        return host.ensure_veth(
            inside, "pin1", "eth0", netns=pod.path, mac=POD_MAC, mtu=1400, bridge=made
        )


def test_a_bridge_is_made_once_and_repaired(node: Lab) -> None:
    with Netlink() as host:
        first = bridge(host)
        assert (first.mac, first.mtu, first.up, first.kind) == (MAC, 1500, True, "bridge")
        assert bridge(host) == first
        sh("ip link set pinnace0 down mtu 1300")
        assert bridge(host) == first
        sh("ip link del pinnace0")
        assert bridge(host).up


def test_something_else_with_the_bridges_name_is_left_alone(node: Lab) -> None:
    sh("ip link add pinnace0 type veth peer name other")
    with Netlink() as host, pytest.raises(NetlinkFailure, match="pinnace0 exists and is a veth"):
        bridge(host)


def test_an_address_is_the_only_one(node: Lab) -> None:
    with Netlink() as host:
        link = bridge(host)
        for tamper in ("true", "ip addr add 10.9.9.9/16 dev pinnace0", "ip addr flush pinnace0"):
            sh(tamper)
            host.ensure_address(link, "10.244.0.1/24")
            assert host.addresses(link.index) == {"10.244.0.1/24"}


def test_an_address_beside_others(node: Lab) -> None:
    with Netlink() as host:
        link = bridge(host)
        sh("ip addr add 10.9.9.9/16 dev pinnace0")
        host.ensure_address(link, "10.244.0.1/24", only=False)
        assert host.addresses(link.index) == {"10.9.9.9/16", "10.244.0.1/24"}


@pytest.mark.parametrize(
    "tamper",
    [
        "true",
        "ip link set pin1 nomaster",
        "ip link set pin1 down",
        "ip link del pin1",
        "ip link set pin1 mtu 1200",
        "pod: ip link set eth0 name eth9",
        "pod: ip link del eth0",
        "pod: ip link set eth0 address 0a:58:00:00:00:09",
    ],
)
def test_a_veth_pair_is_whole_whatever_happened(node: Lab, tamper: str) -> None:
    pod = node.space("pod")
    with Netlink() as host:
        before = pair(host, pod)
        assert pair(host, pod) == before
        where, _, command = tamper.rpartition(": ")
        (pod.sh if where else sh)(command)
        outer, inner = pair(host, pod)
        assert (outer.peer, inner.peer) == (inner.index, outer.index)
        assert (inner.name, inner.mac, inner.mtu) == ("eth0", POD_MAC, 1400)
        assert (outer.up, outer.master) == (True, bridge(host).index)
        assert "hairpin on" in sh("bridge -d link show dev pin1")
        assert pod.links() == {"lo", "eth0"}


def test_a_foreign_interface_in_the_pod_is_not_replaced(node: Lab) -> None:
    pod = node.space("pod")
    pod.sh("ip link add eth0 type veth peer name mine")
    with Netlink() as host:
        with pytest.raises(NetlinkFailure):
            pair(host, pod)
        assert host.link("pin1") is None
    assert pod.links() == {"lo", "eth0", "mine"}


def test_routes_are_set_replaced_and_kept(node: Lab) -> None:
    with Netlink() as host:
        link = bridge(host)
        host.ensure_address(link, "10.244.0.1/24")
        sh("ip link add other type bridge")
        sh("ip link set other up")
        for tamper in ("true", "true", "ip route replace 10.1.0.0/16 dev other"):
            sh(tamper)
            host.ensure_route(link, "10.1.0.0/16", "10.244.0.9")
        for _ in range(2):
            host.ensure_route(link, "default", "10.244.0.9")
            host.ensure_route(link, "10.7.7.7/32")
        found = {(route.destination, route.gateway) for route in host.routes()}
        assert {("10.1.0.0/16", "10.244.0.9"), ("default", "10.244.0.9")} <= found
        assert ("10.7.7.7/32", "") in found


def test_up_and_absent(node: Lab) -> None:
    with Netlink() as host:
        sh("ip link set lo down")
        assert host.ensure_up("lo").up
        assert host.ensure_up("lo").up
        with pytest.raises(NetlinkFailure, match="there is no link nope"):
            host.ensure_up("nope")
        bridge(host)
        assert host.ensure_absent("pinnace0")
        assert not host.ensure_absent("pinnace0")


def test_the_uplinks_mtu_is_the_default_routes(node: Lab) -> None:
    with Netlink() as host:
        assert host.uplink_mtu() == 0
        node.outside(mtu=1400)
        assert host.uplink_mtu() == 1400


def test_only_this_thread_enters_a_namespace(node: Lab) -> None:
    pod = node.space("pod")
    pod.sh("ip link add inside type bridge")
    seen: list[bool] = []

    def look() -> None:
        with Netlink() as netlink_here:
            seen.append(netlink_here.link("inside") is not None)

    with in_namespace(pod.path):
        look()
        # Started from within, and yet: a thread inherits the namespace of its maker.
        worker = threading.Thread(target=look)
        worker.start()
        worker.join()
    look()
    assert seen == [True, True, False]


def test_a_namespace_that_is_not_there_or_none(node: Lab) -> None:
    with pytest.raises(NetworkFailure, match="no network namespace at /run/netns/nope"):
        in_namespace("/run/netns/nope").__enter__()
    with pytest.raises(NetworkFailure, match="cannot enter"):
        in_namespace("/etc/hostname").__enter__()


def test_an_interrupted_dump_is_asked_again_five_times_at_most() -> None:
    calls: list[int] = []

    def interrupted(until: int) -> str:
        calls.append(1)
        if len(calls) < until:
            raise NetlinkDumpInterrupted(errno.EINTR)
        return "whole"

    assert netlink.retry_interrupted(lambda: interrupted(5)) == "whole"
    calls.clear()
    with pytest.raises(NetlinkDumpInterrupted):
        netlink.retry_interrupted(lambda: interrupted(6))
    assert len(calls) == 5


def test_a_refusal_of_the_kernel_is_told_in_words(node: Lab) -> None:
    with Netlink() as host:
        link = bridge(host)
        with pytest.raises(NetlinkFailure, match=r"cannot route 10\.1\.0\.0/16 through pinnace0"):
            host.ensure_route(link, "10.1.0.0/16", "203.0.113.9")


def test_sysctls(node: Lab) -> None:
    for _ in range(2):
        set_sysctl("net/ipv4/ip_forward", "1")
    assert sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
    with pytest.raises(NetworkFailure, match="net/ipv4/nope"):
        set_sysctl("net/ipv4/nope", "1")
