"""Environment, expansion and downward API, from values."""

import base64
from typing import Any

import msgspec
import pytest
from podmaker import container, make_pod

from kubeapi.types import core_v1
from nodeagent.pods.env import ConfigError, References, build_env, expand_all, service_env
from nodeagent.pods.expansion import expand
from nodeagent.pods.fields import FieldError, NodeFacts, field_value, resource_value
from nodeagent.pods.spec import containers

NODE = NodeFacts("n1", ("192.0.2.7", "2001:db8::7"), {"cpu": "4", "memory": "8Gi"})


def config_map(name: str, **data: str) -> core_v1.ConfigMap:
    return msgspec.convert({"metadata": {"name": name}, "data": data}, core_v1.ConfigMap)


def secret(name: str, **data: bytes) -> core_v1.Secret:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return msgspec.convert({"metadata": {"name": name}, "data": encoded}, core_v1.Secret)


def service(name: str, address: str, *ports: Any, namespace: str = "default") -> core_v1.Service:
    listed = [{"port": p[0], "name": p[1], "protocol": p[2]} for p in ports]
    body = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": address, "ports": listed},
    }
    return msgspec.convert(body, core_v1.Service)


def env_of(given: References | None = None, **fields: Any) -> dict[str, str]:
    pod = make_pod(container(**fields))
    return build_env(pod, containers(pod)[0], given or References(node=NODE))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$(NOPE)", "$(NOPE)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $", "$A ${A} $"),
        ("$(A", "$(A"),
        ("", ""),
    ],
)
def test_expansion(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_a_variable_sees_those_before_it() -> None:
    env = [
        {"name": "B", "value": "$(A)"},
        {"name": "A", "value": "1"},
        {"name": "C", "value": "$(A)$(A)"},
    ]
    assert env_of(env=env) == {"B": "$(A)", "A": "1", "C": "11"}


def key_of(kind: str, name: str, key: str, **more: Any) -> dict[str, Any]:
    return {"name": "X", "valueFrom": {kind: {"name": name, "key": key} | more}}


def test_keys_of_config_maps_and_secrets() -> None:
    given = References({"m": config_map("m", k="v")}, {"s": secret("s", k=b"hidden")})
    assert env_of(given, env=[key_of("configMapKeyRef", "m", "k")]) == {"X": "v"}
    assert env_of(given, env=[key_of("secretKeyRef", "s", "k")]) == {"X": "hidden"}
    optional = key_of("secretKeyRef", "none", "k", optional=True)
    assert env_of(given, env=[optional]) == {}


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        (key_of("configMapKeyRef", "none", "k"), 'configmap "none" not found'),
        (key_of("configMapKeyRef", "m", "no"), "couldn't find key no in ConfigMap default/m"),
        (key_of("secretKeyRef", "none", "k"), 'secret "none" not found'),
        (key_of("secretKeyRef", "s", "no"), "couldn't find key no in Secret default/s"),
        (
            {"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.none"}}},
            "unsupported fieldPath: spec.none",
        ),
    ],
)
def test_what_is_missing_is_named(variable: dict[str, Any], message: str) -> None:
    given = References({"m": config_map("m")}, {"s": secret("s")})
    with pytest.raises(ConfigError) as caught:
        env_of(given, env=[variable])
    assert str(caught.value) == message


def test_env_from_takes_what_can_be_a_name_and_env_comes_first() -> None:
    given = References({"m": config_map("m", **{"a.b": "1", "x=y": "2", "c": "3"})})
    found = env_of(
        given,
        envFrom=[{"configMapRef": {"name": "m"}, "prefix": "P_"}],
        env=[{"name": "P_c", "value": "own"}],
    )
    assert found == {"P_a.b": "1", "P_c": "own"}


def test_bytes_that_are_no_text_survive() -> None:
    given = References(secrets={"s": secret("s", k=b"\xff\x00a")})
    found = env_of(given, env=[key_of("secretKeyRef", "s", "k")])
    assert found["X"].encode(errors="surrogateescape") == b"\xff\x00a"
    assert expand_all(["$(X)"], found) == ["\ufffd\x00a"]


def test_services_as_docker_links() -> None:
    web = service("my-web", "10.96.0.9", (80, "http", "TCP"), (53, "dns", "UDP"))
    found = service_env(make_pod(), [web])
    assert found == {
        "MY_WEB_SERVICE_HOST": "10.96.0.9",
        "MY_WEB_SERVICE_PORT": "80",
        "MY_WEB_SERVICE_PORT_HTTP": "80",
        "MY_WEB_SERVICE_PORT_DNS": "53",
        "MY_WEB_PORT": "tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP": "tcp://10.96.0.9:80",
        "MY_WEB_PORT_80_TCP_PROTO": "tcp",
        "MY_WEB_PORT_80_TCP_PORT": "80",
        "MY_WEB_PORT_80_TCP_ADDR": "10.96.0.9",
        "MY_WEB_PORT_53_UDP": "udp://10.96.0.9:53",
        "MY_WEB_PORT_53_UDP_PROTO": "udp",
        "MY_WEB_PORT_53_UDP_PORT": "53",
        "MY_WEB_PORT_53_UDP_ADDR": "10.96.0.9",
    }


def test_what_the_user_sets_comes_before_what_a_service_gives() -> None:
    given = References(services=[service("web", "10.96.0.9", (80, "http", "TCP"))])
    env = [{"name": "WEB_SERVICE_HOST", "value": "own"}, {"name": "X", "value": "$(WEB_PORT)"}]
    found = env_of(given, env=env)
    assert (found["WEB_SERVICE_HOST"], found["X"]) == ("own", "tcp://10.96.0.9:80")


def test_which_services_are_seen() -> None:
    api = service("kubernetes", "10.96.0.1", (443, "https", "TCP"))
    other = service("other", "10.96.0.2", (1, "a", "TCP"), namespace="elsewhere")
    headless = service("headless", "None", (1, "a", "TCP"), namespace="team")
    own = service("own", "10.96.0.3", (1, "a", "TCP"), namespace="team")
    every = [api, other, headless, own]

    def hosts(**fields: Any) -> set[str]:
        pod = make_pod(meta={"namespace": "team"}, **fields)
        return {key for key in service_env(pod, every) if key.endswith("_SERVICE_HOST")}

    assert hosts() == {"KUBERNETES_SERVICE_HOST", "OWN_SERVICE_HOST"}
    assert hosts(enableServiceLinks=False) == {"KUBERNETES_SERVICE_HOST"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "uid-p"),
        ("metadata.labels", 'a="1"\nb="say \\"hi\\"\\n"'),
        ("metadata.labels['a']", "1"),
        ("metadata.labels['none']", ""),
        ("metadata.annotations['x/y']", "z"),
        ("spec.nodeName", "node"),
        ("spec.serviceAccountName", "robot"),
        ("status.hostIP", "192.0.2.7"),
        ("status.hostIPs", "192.0.2.7,2001:db8::7"),
        ("status.podIP", "10.244.0.5"),
        ("status.podIPs", "10.244.0.5,fd00::5"),
    ],
)
def test_fields(path: str, expected: str) -> None:
    meta = {"labels": {"b": 'say "hi"\n', "a": "1"}, "annotations": {"x/y": "z"}}
    pod = make_pod(meta=meta, serviceAccountName="robot")
    assert field_value(pod, path, NODE, ("10.244.0.5", "fd00::5")) == expected


@pytest.mark.parametrize(
    ("resource", "divisor", "expected"),
    [
        ("limits.cpu", None, "1"),
        ("limits.cpu", "1m", "250"),
        ("requests.cpu", "1m", "100"),
        ("limits.memory", "1Mi", "64"),
        ("requests.memory", None, str(64 << 20)),
        ("limits.ephemeral-storage", None, "0"),
    ],
)
def test_resources(resource: str, divisor: str | None, expected: str) -> None:
    limits = {"limits": {"cpu": "250m", "memory": "64Mi"}, "requests": {"cpu": "100m"}}
    pod = make_pod(container(resources=limits))
    selector = core_v1.ResourceFieldSelector(resource=resource, divisor=divisor, containerName="a")
    assert resource_value(pod, selector, NODE) == expected


def test_a_limit_that_is_not_set_is_what_the_node_has() -> None:
    pod = make_pod()
    selector = core_v1.ResourceFieldSelector(resource="limits.cpu", containerName="a")
    assert resource_value(pod, selector, NODE) == "4"
    wrong = core_v1.ResourceFieldSelector(resource="limits.gpu", containerName="a")
    with pytest.raises(FieldError):
        resource_value(pod, wrong, NODE)
