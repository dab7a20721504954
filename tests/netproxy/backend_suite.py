"""What every backend must do, judged by real traffic: `check_backend` runs each check on a fresh
node. A new backend passes this suite before anything else is said of it."""

import asyncio
import dataclasses
import socket
from collections.abc import Awaitable, Callable

from cni.server import firewall
from kubeapi.types import core_v1, discovery_v1
from netproxy.backends import Backend, BackendFailure
from netproxy.model import RuleSet
from tests.cni.netlab import UPLINK_ADDRESS, Lab, sh
from tests.netproxy.netproxy_objects import NODE, rules, service, slice_of
from tests.netproxy.traffic import (
    GATEWAY,
    REFUSED,
    SILENT,
    VIP,
    Pod,
    World,
    ask,
    call,
    client_socket,
    rules_of_others,
    tally,
    world,
)

Check = Callable[[Callable[[], Backend], World], Awaitable[None]]
ELSEWHERE = "10.244.9.9"


async def check_backend(make_backend: Callable[[], Backend], check: Check, lab: Lab) -> None:
    async with world(lab) as made:
        await check(make_backend, made)


def behind(*pods: Pod, name: str = "web", **slice_arguments: str) -> discovery_v1.EndpointSlice:
    return slice_of(name, ",".join(f"{p.address}@{NODE}" for p in pods), **slice_arguments)


def web(**arguments: object) -> core_v1.Service:
    return service("web", **({"vip": VIP} | arguments))  # type: ignore[arg-type]


async def a_cluster_ip_is_shared_by_all_endpoints(make: Callable[[], Backend], w: World) -> None:
    a, b, c = w.pod("a"), w.pod("b"), w.pod("c")
    await make().apply(rules(web(), behind(a, b, c)))
    for source in (w.pod("client").space, None, a.space):
        counts = await tally(source, VIP, 80, 60)
        assert set(counts) == {"a", "b", "c"}, counts
        assert min(counts.values()) >= 5, counts


async def who_is_masqueraded(make: Callable[[], Backend], w: World) -> None:
    a, client = w.pod("a"), w.pod("client")
    await make().apply(rules(web(ports="80:30080"), behind(a)))
    assert await call(client.space, VIP, 80) == f"a {client.address}"
    assert await call(None, VIP, 80) == f"a {GATEWAY}"
    assert await call(w.outside, VIP, 80) == f"a {GATEWAY}"
    assert await call(w.outside, UPLINK_ADDRESS, 30080) == f"a {GATEWAY}"
    # A pod that meets itself sees somebody else, or it would answer itself directly.
    assert await call(a.space, VIP, 80) == f"a {GATEWAY}"


async def bridged_frames_may_be_filtered_or_not(make: Callable[[], Backend], w: World) -> None:
    """With br_netfilter and without: the answer passes the host either way."""
    a, client = w.pod("a"), w.pod("client")
    await make().apply(rules(web(), behind(a)))
    for value in (0, 1):
        w.lab.set_bridge_netfilter(value)
        assert await call(client.space, VIP, 80) == f"a {client.address}"
        assert await call(a.space, VIP, 80) == f"a {GATEWAY}"


async def a_node_port_answers_everywhere(make: Callable[[], Backend], w: World) -> None:
    a, client = w.pod("a"), w.pod("client")
    await make().apply(rules(web(ports="80:30080"), behind(a)))
    assert (await call(w.outside, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert (await call(None, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert (await call(None, "127.0.0.1", 30080)).startswith("a ")
    assert (await call(client.space, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert (await call(client.space, GATEWAY, 30080)).startswith("a ")
    assert await call(w.outside, UPLINK_ADDRESS, 80) == REFUSED


async def nobody_outside_reaches_127(make: Callable[[], Backend], w: World) -> None:
    """What lets node ports answer on 127.0.0.1 must not open 127.0.0.1 to others."""
    a = w.pod("a")
    await make().apply(rules(web(ports="80:30080"), behind(a)))
    listener = socket.create_server(("127.0.0.1", 7777))
    with listener:
        assert await call(None, "127.0.0.1", 7777, 0.3) == SILENT  # accepts, says nothing
        w.outside.sh("sysctl -qw net.ipv4.conf.all.route_localnet=1")
        w.outside.sh("ip addr del 127.0.0.1/8 dev lo")
        w.outside.sh("ip route add 127.0.0.0/8 via 192.0.2.1 dev eth0 src 192.0.2.2")
        listener.setblocking(False)
        while True:
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                break
        assert await call(w.outside, "127.0.0.1", 7777, 0.5) == SILENT
        try:
            listener.accept()
        except BlockingIOError:
            return
        raise AssertionError("127.0.0.1 is open to the outside")


async def node_ports_on_some_addresses_only(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    wanted = rules(web(ports="80:30080"), behind(a))
    await make().apply(dataclasses.replace(wanted, node_port_addresses=("192.0.2.0/24",)))
    assert (await call(w.outside, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert await call(None, "127.0.0.1", 30080) == REFUSED
    assert await call(a.space, GATEWAY, 30080) == REFUSED


async def policy_local_keeps_the_clients_address(make: Callable[[], Backend], w: World) -> None:
    a, client = w.pod("a"), w.pod("client")
    local = web(ports="80:30080", externalTrafficPolicy="Local")
    backend = make()
    await backend.apply(rules(local, behind(a)))
    assert await call(w.outside, UPLINK_ADDRESS, 30080) == "a 192.0.2.2"
    assert (await call(None, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert await call(client.space, UPLINK_ADDRESS, 30080) == f"a {client.address}"
    # The endpoint is on another node: silence, so that whoever balances tries that one.
    await backend.apply(rules(local, slice_of("web", f"{a.address}@node-b")))
    assert await call(w.outside, UPLINK_ADDRESS, 30080, 0.4) == SILENT
    assert (await call(client.space, UPLINK_ADDRESS, 30080)).startswith("a ")
    assert (await call(None, UPLINK_ADDRESS, 30080)).startswith("a ")


async def internal_policy_local_stays_on_the_node(make: Callable[[], Backend], w: World) -> None:
    a, b = w.pod("a"), w.pod("b")
    local = web(internalTrafficPolicy="Local")
    backend = make()
    await backend.apply(rules(local, slice_of("web", f"{a.address}@{NODE},{b.address}@node-b")))
    assert set(await tally(b.space, VIP, 80, 20)) == {"a"}
    await backend.apply(rules(local, slice_of("web", f"{b.address}@node-b")))
    assert await call(b.space, VIP, 80, 0.4) == SILENT


async def external_and_load_balancer_addresses(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    backend = make()
    wanted = {"externalIPs": ["203.0.113.7"], "load_balancer": [{"ip": "203.0.113.8"}]}
    await backend.apply(rules(web(**wanted), behind(a)))
    for address in ("203.0.113.7", "203.0.113.8"):
        assert (await call(w.outside, address, 80)).startswith("a ")
    # Only some clients may use the load balancer's address; the external IP stays open.
    await backend.apply(
        rules(web(loadBalancerSourceRanges=["198.51.100.0/24"], **wanted), behind(a))
    )
    assert (await call(w.outside, "203.0.113.7", 80)).startswith("a ")
    assert await call(w.outside, "203.0.113.8", 80, 0.4) == SILENT
    await backend.apply(rules(web(loadBalancerSourceRanges=["192.0.2.0/24"], **wanted), behind(a)))
    assert (await call(w.outside, "203.0.113.8", 80)).startswith("a ")


async def without_endpoints_everybody_is_refused(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    await make().apply(
        rules(web(ports="80:30080", externalIPs=["203.0.113.7"]), slice_of("web", ""))
    )
    assert await call(a.space, VIP, 80) == REFUSED
    assert await call(None, VIP, 80) == REFUSED
    assert await call(w.outside, VIP, 80) == REFUSED
    assert await call(w.outside, "203.0.113.7", 80) == REFUSED
    assert await call(w.outside, UPLINK_ADDRESS, 30080) == REFUSED
    assert await call(None, "127.0.0.1", 30080) == REFUSED


async def one_client_keeps_its_endpoint(make: Callable[[], Backend], w: World) -> None:
    a, b, c = w.pod("a"), w.pod("b"), w.pod("c")
    await make().apply(rules(web(sessionAffinity="ClientIP"), behind(a, b, c)))
    for client in (w.pod("x"), w.pod("y"), w.pod("z")):
        assert len(await tally(client.space, VIP, 80, 15)) == 1


async def udp_moves_to_the_endpoint_that_is_there(make: Callable[[], Backend], w: World) -> None:
    """The same client socket, so the same flow: conntrack must forget who is gone."""
    a, b, client = w.pod("a"), w.pod("b"), w.pod("client")
    dns = service("dns", vip=VIP, ports="53/UDP:30053")
    backend = make()
    here = client_socket(client.space, socket.SOCK_DGRAM)
    outside = client_socket(w.outside, socket.SOCK_DGRAM)
    with here, outside:

        async def answers() -> list[str]:
            said = [await ask(here, VIP, 53), await ask(outside, UPLINK_ADDRESS, 30053)]
            return [answer.partition(" ")[0] for answer in said]

        await backend.apply(rules(dns, slice_of("dns", "", ports="5353/UDP")))
        assert set(await answers()) <= {REFUSED, SILENT}
        for pod in (a, b, a):
            await backend.apply(rules(dns, behind(pod, name="dns", ports="5353/UDP")))
            assert await answers() == [pod.name, pod.name]
        # Another Service changes: this flow stays where it is.
        both = behind(a, b, name="dns", ports="5353/UDP")
        await backend.apply(rules(dns, both))
        assert await answers() == ["a", "a"]
        await backend.apply(rules(dns, both, service("other", vip="10.96.0.77", ports="9/UDP")))
        assert await answers() == ["a", "a"]
        await backend.apply(rules())
        assert set(await answers()) <= {REFUSED, SILENT}


async def a_connection_outlives_every_change(make: Callable[[], Backend], w: World) -> None:
    """Also the endpoint's own removal: it drains, and a proxy that starts anew."""
    a, b, client = w.pod("a"), w.pod("b"), w.pod("client")
    backend = make()
    await backend.apply(rules(web(), behind(a)))
    loop = asyncio.get_running_loop()
    with client_socket(client.space, socket.SOCK_STREAM) as connection:
        await loop.sock_connect(connection, (VIP, 80))
        await loop.sock_recv(connection, 100)
        for change in (
            lambda: backend.apply(rules(web(), behind(b))),
            lambda: make().apply(rules(web(), behind(a, b))),
            lambda: backend.apply(rules()),
        ):
            await change()
            await loop.sock_sendall(connection, b"?")
            async with asyncio.timeout(3):
                assert (await loop.sock_recv(connection, 100)).startswith(b"a ")


async def a_service_goes_without_a_trace(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    sh("iptables -t nat -A PREROUTING -d 198.51.100.9 -j ACCEPT")
    sh("iptables -A FORWARD -s 198.51.100.9 -j DROP")
    others = rules_of_others()
    backend = make()
    await backend.apply(rules())
    empty = sh("iptables-save").count("PINNACE")
    await backend.apply(rules(web(ports="80:30080"), behind(a)))
    assert (await call(a.space, VIP, 80)).startswith("a ")
    await backend.apply(rules())
    assert await call(a.space, VIP, 80, 0.4) != f"a {GATEWAY}"
    assert await call(w.outside, UPLINK_ADDRESS, 30080) == REFUSED
    assert sh("iptables-save").count("PINNACE") == empty
    assert rules_of_others() == others


async def a_new_process_takes_over(make: Callable[[], Backend], w: World) -> None:
    """It knows nothing of what the last one wrote, and removes what is stale."""
    a, b = w.pod("a"), w.pod("b")
    await make().apply(rules(web(ports="80:30080"), behind(a), service("old", vip="10.96.0.99")))
    second = make()
    await second.apply(rules(web(ports="80:30080"), behind(b)))
    assert set(await tally(a.space, VIP, 80, 10)) == {"b"}
    assert await second.is_intact()
    assert "10.96.0.99" not in sh("iptables-save")
    assert sh("iptables-save").count("-A PREROUTING -j PINNACE-SERVICES") == 1


async def what_others_change_is_seen_and_repaired(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    wanted = rules(web(ports="80:30080"), behind(a))
    backend = make()
    await backend.apply(wanted)
    assert await backend.is_intact()
    for tamper in (
        "iptables -t nat -F",
        "iptables -F PINNACE-FORWARD",
        "iptables -t nat -D OUTPUT -j PINNACE-SERVICES",
        "iptables -t nat -I PINNACE-SERVICES -j RETURN",
        "iptables -t nat -A PREROUTING -j PINNACE-SERVICES",
    ):
        sh(tamper)
        assert not await backend.is_intact(), tamper
        backend.forget()
        await backend.apply(wanted)
        assert await backend.is_intact()
        assert (await call(a.space, VIP, 80)).startswith("a ")
    # What others do beside us is no tampering.
    sh("iptables -I FORWARD -s 198.51.100.9 -j DROP")
    assert await backend.is_intact()


async def a_change_after_tampering_works_too(make: Callable[[], Backend], w: World) -> None:
    """The next change comes before anybody looked at what somebody else did."""
    a, b = w.pod("a"), w.pod("b")
    backend = make()
    await backend.apply(rules(web(), behind(a)))
    for tamper, pod in (
        ("iptables -t nat -F", b),
        ("iptables -t nat -D OUTPUT -j PINNACE-SERVICES", a),
        ("iptables -t nat -R PINNACE-POSTROUTING 3 -j ACCEPT", b),
    ):
        sh(tamper)
        await backend.apply(rules(web(), behind(pod)))
        assert await call(None, VIP, 80) == f"{pod.name} {GATEWAY}", tamper
        assert await backend.is_intact()


async def a_refused_change_changes_nothing(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    wanted = rules(web(), behind(a))
    backend = make()
    await backend.apply(wanted)
    (port,) = wanted.services
    broken = RuleSet((dataclasses.replace(port, cluster_ip="300.1.2.3"),), wanted.cluster_cidr)
    try:
        await backend.apply(broken)
    except BackendFailure:
        pass
    else:
        raise AssertionError("an impossible address was accepted")
    assert (await call(a.space, VIP, 80)).startswith("a ")
    await backend.apply(wanted)
    assert await backend.is_intact()


async def cleanup_leaves_what_was_there(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    sh("iptables -A FORWARD -s 198.51.100.9 -j DROP")
    before = rules_of_others()
    assert not await make().cleanup()
    await make().apply(rules(web(ports="80:30080"), behind(a)))
    assert await make().cleanup()
    assert rules_of_others() == before
    assert "PINNACE" not in sh("iptables-save")
    assert sh("sysctl -n net.ipv4.conf.all.route_localnet") == "0\n"
    assert not await make().cleanup()


async def beside_the_pod_networks_rules(make: Callable[[], Backend], w: World) -> None:
    """Whoever of the two rooms comes first, and where forwarding is dropped, as with Docker."""
    a, client = w.pod("a"), w.pod("client")
    sh("iptables -P FORWARD DROP")
    wanted = rules(web(ports="80:30080"), behind(a), service("none", vip="10.96.0.99"))
    for pod_network_first in (True, False):
        backend = make()
        if pod_network_first:
            await firewall.ensure("10.244.0.0/24", "10.244.0.0/16")
        await backend.apply(wanted)
        await firewall.ensure("10.244.0.0/24", "10.244.0.0/16")
        assert await backend.is_intact()
        assert (await call(client.space, VIP, 80)).startswith("a ")
        assert (await call(w.outside, UPLINK_ADDRESS, 30080)).startswith("a ")
        assert (await call(client.space, a.address, 8080)) == f"a {client.address}"
        assert await call(client.space, "10.96.0.99", 80) == REFUSED
        await backend.cleanup()
        assert (await call(client.space, a.address, 8080)) == f"a {client.address}"
        await firewall.remove()
        assert "PINNACE" not in sh("iptables-save")


async def the_same_rules_are_written_once(make: Callable[[], Backend], w: World) -> None:
    a = w.pod("a")
    backend = make()
    for _ in range(3):
        await backend.apply(rules(web(), behind(a)))
        assert await backend.is_intact()
    assert (await call(a.space, VIP, 80)).startswith("a ")


CHECKS: list[Check] = [
    a_cluster_ip_is_shared_by_all_endpoints,
    who_is_masqueraded,
    bridged_frames_may_be_filtered_or_not,
    a_node_port_answers_everywhere,
    nobody_outside_reaches_127,
    node_ports_on_some_addresses_only,
    policy_local_keeps_the_clients_address,
    internal_policy_local_stays_on_the_node,
    external_and_load_balancer_addresses,
    without_endpoints_everybody_is_refused,
    one_client_keeps_its_endpoint,
    udp_moves_to_the_endpoint_that_is_there,
    a_connection_outlives_every_change,
    a_service_goes_without_a_trace,
    a_new_process_takes_over,
    what_others_change_is_seen_and_repaired,
    a_change_after_tampering_works_too,
    a_refused_change_changes_nothing,
    cleanup_leaves_what_was_there,
    beside_the_pod_networks_rules,
    the_same_rules_are_written_once,
]
