"""Services and slices to rule sets: tables of what kube-proxy does."""

import pytest

from kubeapi.types import core_v1, discovery_v1
from netproxy.model import Endpoint, RuleSet, ServicePort
from tests.netproxy.netproxy_objects import BASE, rules, service, slice_of


def only(*objects: core_v1.Service | discovery_v1.EndpointSlice) -> ServicePort:
    (port,) = rules(*objects).services
    return port


def addresses(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [endpoint.address for endpoint in endpoints]


def test_a_service_and_its_slice() -> None:
    port = only(service("web"), slice_of("web", "10.244.0.5@node-a,10.244.1.5@node-b"))
    assert port == ServicePort(
        namespace="default",
        name="web",
        port_name="",
        protocol="tcp",
        cluster_ip="10.96.0.10",
        port=80,
        cluster_endpoints=(
            Endpoint("10.244.0.5", 8080, is_local=True),
            Endpoint("10.244.1.5", 8080),
        ),
        has_any=True,
    )
    assert port.label == "default/web"


def test_ports_are_matched_by_name_and_protocol() -> None:
    found = rules(
        service("dns", ports="dns=53/UDP,dns-tcp=53/TCP,metrics=9153/TCP,lone=1/SCTP"),
        slice_of("dns", "10.244.0.5", ports="dns=5353/UDP,dns-tcp=5354/TCP,metrics=9153/UDP"),
    )
    ports = {
        p.port_name: (p.protocol, [e.port for e in p.cluster_endpoints]) for p in found.services
    }
    assert ports == {
        "dns": ("udp", [5353]),
        "dns-tcp": ("tcp", [5354]),
        "metrics": ("tcp", []),
        "lone": ("sctp", []),
    }


@pytest.mark.parametrize(
    "ignored",
    [
        service("web", vip="None"),
        service("web", vip=""),
        service("web", vip="fd00::1"),
        service("web", type="ExternalName", externalName="example.com"),
        service("web", labels={"service.kubernetes.io/service-proxy-name": "other"}),
    ],
    ids=["headless", "unassigned", "ipv6", "external-name", "other-proxy"],
)
def test_what_has_no_vip_of_ours_is_left_out(ignored: core_v1.Service) -> None:
    assert rules(ignored, slice_of("web", "10.244.0.5")).services == ()


@pytest.mark.parametrize(
    "ignored",
    [
        slice_of("web", "fd00::5", family="IPv6"),
        slice_of("web", "example.com", family="FQDN"),
        slice_of("web", "10.244.0.5", namespace="other"),
        slice_of("web", "10.244.0.5", labels={"service.kubernetes.io/headless": ""}),
        slice_of("web", "10.244.0.5", labels={"service.kubernetes.io/service-proxy-name": "x"}),
        slice_of("web", "10.244.0.5", ports="other=8080"),
        slice_of("web", "10.244.0.5", ports=""),
    ],
)
def test_slices_that_do_not_count(ignored: discovery_v1.EndpointSlice) -> None:
    port = only(service("web"), ignored)
    assert (port.used_endpoints, port.has_any) == ((), False)


def test_a_dual_stack_service_is_served_on_ipv4() -> None:
    dual = service("web", vip="fd00::1")
    assert dual.spec is not None
    assert dual.spec.clusterIPs is not None
    dual.spec.clusterIPs.append("10.96.0.9")
    assert only(dual).cluster_ip == "10.96.0.9"


@pytest.mark.parametrize(
    ("endpoints", "chosen"),
    [
        ("10.0.0.1,10.0.0.2", ["10.0.0.1", "10.0.0.2"]),
        ("10.0.0.1!r,10.0.0.2!R", ["10.0.0.1"]),
        ("10.0.0.1!RSt,10.0.0.2!Rst", ["10.0.0.2"]),
        ("10.0.0.1!r,10.0.0.2!Rst", ["10.0.0.1"]),
        ("10.0.0.1!Rs", []),
        ("10.0.0.1!RSt", []),
        ("10.0.0.1!Rt", ["10.0.0.1"]),  # serving not told: as ready told nothing, it is
    ],
)
def test_ready_endpoints_or_the_serving_ones_that_terminate(
    endpoints: str, chosen: list[str]
) -> None:
    port = only(service("web"), slice_of("web", endpoints))
    assert addresses(port.cluster_endpoints) == chosen
    assert port.has_any == bool(chosen)


def test_an_endpoint_in_two_slices_counts_once_whatever_their_order() -> None:
    first = slice_of("web", "10.0.0.1@node-a", suffix="a")
    second = slice_of("web", "10.0.0.1@node-b,10.0.0.2", suffix="b")
    port = only(service("web"), first, second)
    assert port.cluster_endpoints == (
        Endpoint("10.0.0.1", 8080, is_local=True),
        Endpoint("10.0.0.2", 8080),
    )
    assert only(service("web"), second, first) == port


LOCAL = {"externalTrafficPolicy": "Local"}
INTERNAL = {"internalTrafficPolicy": "Local"}


@pytest.mark.parametrize(
    ("spec", "endpoints", "cluster", "local", "has_any"),
    [
        ({}, "10.0.0.1@node-b", ["10.0.0.1"], [], True),
        (LOCAL, "10.0.0.1@node-a,10.0.0.2@node-b", ["10.0.0.1", "10.0.0.2"], ["10.0.0.1"], True),
        (LOCAL, "10.0.0.2@node-b", ["10.0.0.2"], [], True),
        (LOCAL, "10.0.0.1@node-a!R,10.0.0.2@node-b", ["10.0.0.2"], [], True),
        (LOCAL, "10.0.0.1@node-a!Rst,10.0.0.2@node-b", ["10.0.0.2"], ["10.0.0.1"], True),
        (INTERNAL, "10.0.0.1@node-a,10.0.0.2@node-b", ["10.0.0.1", "10.0.0.2"], ["10.0.0.1"], True),
        (INTERNAL | LOCAL, "10.0.0.1@node-a,10.0.0.2@node-b", [], ["10.0.0.1"], True),
        (INTERNAL | LOCAL, "10.0.0.2@node-b", [], [], True),
        (INTERNAL | LOCAL, "", [], [], False),
    ],
)
def test_traffic_policies(
    spec: dict[str, str], endpoints: str, cluster: list[str], local: list[str], has_any: bool
) -> None:
    port = only(service("web", ports="80:30080", **spec), slice_of("web", endpoints))
    assert addresses(port.cluster_endpoints) == cluster
    assert addresses(port.local_endpoints) == local
    assert port.has_any == has_any


def test_an_internal_policy_without_external_access_keeps_only_local_ones() -> None:
    endpoints = slice_of("web", "10.0.0.1@node-a,10.0.0.2@node-b")
    port = only(service("web", **INTERNAL), endpoints)
    assert (port.cluster_endpoints, addresses(port.internal_endpoints)) == ((), ["10.0.0.1"])


def test_the_external_policy_of_a_service_that_nobody_outside_reaches_means_nothing() -> None:
    port = only(service("web", **LOCAL), slice_of("web", "10.0.0.2@node-b"))
    assert not port.external_local
    assert addresses(port.cluster_endpoints) == ["10.0.0.2"]


def test_addresses_from_outside() -> None:
    port = only(
        service(
            "web",
            externalIPs=["203.0.113.7", "fd00::7", "203.0.113.7"],
            load_balancer=[
                {"ip": "198.51.100.1"},
                {"ip": "198.51.100.2", "ipMode": "Proxy"},
                {"ip": "198.51.100.3", "ipMode": "VIP"},
                {"hostname": "lb.example.com"},
            ],
            loadBalancerSourceRanges=["192.0.2.0/24"],
        )
    )
    assert port.external_ips == ("203.0.113.7",)
    assert port.load_balancer_ips == ("198.51.100.1", "198.51.100.3")
    assert port.source_ranges == ("192.0.2.0/24",)


def test_session_affinity() -> None:
    config = core_v1.SessionAffinityConfig(clientIP=core_v1.ClientIPConfig(timeoutSeconds=60))
    assert only(service("web", sessionAffinity="None")).affinity_s == 0
    assert only(service("web", sessionAffinity="ClientIP")).affinity_s == 10800
    told = service("web", sessionAffinity="ClientIP", sessionAffinityConfig=config)
    assert only(told).affinity_s == 60


def test_the_order_of_objects_does_not_matter() -> None:
    objects = [
        service("a", vip="10.96.0.1", ports="x=1,y=2"),
        service("b", vip="10.96.0.2"),
        slice_of("a", "10.0.0.2,10.0.0.1", ports="x=1,y=2"),
        slice_of("b", "10.0.0.3"),
    ]
    assert rules(*objects) == rules(*reversed(objects))
    assert [p.label for p in rules(*objects).services] == [
        "default/a:x",
        "default/a:y",
        "default/b",
    ]


def test_the_bases_settings_are_kept() -> None:
    base = RuleSet(cluster_cidr="10.0.0.0/8", localhost_node_ports=False)
    assert rules(service("a"), base=base).localhost_node_ports is False
    assert rules(base=BASE) == BASE


def test_no_text_of_a_user_reaches_a_rule_unread() -> None:
    evil = "10.0.0.1/8\nCOMMIT\n*filter\n-F"
    port = only(
        service("web", externalIPs=[evil], loadBalancerSourceRanges=[evil, " 10.1.2.3/8 ", "::/0"]),
        slice_of("web", "evil\n-F,10.0.0.2"),
    )
    assert port.external_ips == ()
    assert port.source_ranges == ("10.0.0.0/8",)
    assert addresses(port.cluster_endpoints) == ["10.0.0.2"]
