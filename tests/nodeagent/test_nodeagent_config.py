"""What containerd is asked for: sandbox, container, security, DNS, hosts, cgroups, images."""

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from podmaker import container, make_pod, record

from kubeapi.types import core_v1
from nodeagent.cgroups import CgroupManager, cpu_weight, find_hierarchies
from nodeagent.images import credentials_of, fits, normalized, pull_policy, registry_of
from nodeagent.pods.admission import Admission
from nodeagent.pods.container_config import ContainerMount, Machine, container_config
from nodeagent.pods.dns import ClusterDns, ResolvConf, parse_resolv_conf, pod_dns
from nodeagent.pods.env import ConfigError
from nodeagent.pods.garbage import find_garbage
from nodeagent.pods.hosts_file import hosts_file, pod_hostname
from nodeagent.pods.identity import container_annotations, pre_stop_of
from nodeagent.pods.runtime_state import PodRuntime, SandboxRecord
from nodeagent.pods.sandbox_config import sandbox_config
from nodeagent.pods.security import container_security
from nodeagent.pods.spec import containers
from nodeagent.pods.support import unsupported
from nodeagent.termination_message import read_termination_message
from pinnace_wire import cri_pb2 as pb

IMAGE = pb.Image(id="sha256:1", uid=pb.Int64Value(value=0))
HOST = ResolvConf(("192.0.2.53",), ("corp.test",), ("timeout:1",))
CLUSTER = ClusterDns(("10.96.0.10",))


def asked(pod: core_v1.Pod, image: pb.Image = IMAGE, **fields: Any) -> pb.ContainerConfig:
    given: dict[str, Any] = {"restart_count": 0, "env": {}, "mounts": ()} | fields
    return container_config(pod, containers(pod)[0], image=image, machine=Machine(1 << 30), **given)


def test_a_container_with_everything() -> None:
    limits = {"limits": {"cpu": "1", "memory": "64Mi", "hugepages-2Mi": "4Mi"}}
    pod = make_pod(
        container(
            command=["run", "$(X)"], args=["$(Y)"], workingDir="/w", tty=True, resources=limits
        )
    )
    mounts = [ContainerMount("/v", "/host/v", True, "HostToContainer")]
    config = asked(pod, restart_count=2, env={"X": "1"}, mounts=mounts)
    assert list(config.command) == ["run", "1"]
    assert list(config.args) == ["$(Y)"]
    assert (config.working_dir, config.tty, config.log_path) == ("/w", True, "a/2.log")
    assert config.metadata.attempt == 2
    assert config.mounts[0].propagation == pb.PROPAGATION_HOST_TO_CONTAINER
    resources = config.linux.resources
    assert (resources.cpu_shares, resources.cpu_quota) == (1024, 100_000)
    assert resources.memory_limit_in_bytes == 64 << 20
    assert [(h.page_size, h.limit) for h in resources.hugepage_limits] == [("2MB", 4 << 20)]
    assert config.labels["io.kubernetes.pod.uid"] == "uid-p"
    assert config.annotations["io.kubernetes.container.restartCount"] == "2"


def test_the_sandbox() -> None:
    pod = make_pod(hostPID=True, hostname="h", securityContext={"sysctls": [
        {"name": "net/ipv4/ip_unprivileged_port_start", "value": "0"}]})  # fmt: skip
    config = sandbox_config(pod, 1, HOST, Path("/logs"), "/pinnace/besteffort/pod1", "c.local")
    assert config.log_directory == "/logs/default_p_uid-p"
    assert config.linux.cgroup_parent == "/pinnace/besteffort/pod1"
    options = config.linux.security_context.namespace_options
    assert (options.network, options.pid, options.ipc) == (pb.POD, pb.NODE, pb.POD)
    assert dict(config.linux.sysctls) == {"net.ipv4.ip_unprivileged_port_start": "0"}
    assert (config.hostname, config.metadata.attempt) == ("h", 1)
    on_host = sandbox_config(make_pod(hostNetwork=True), 0, HOST, Path("/l"), "/c", "c.local")
    assert on_host.hostname == ""


def security(pod: core_v1.Pod, image: pb.Image = IMAGE) -> pb.LinuxContainerSecurityContext:
    return container_security(pod, containers(pod)[0], image)


def test_the_containers_security_comes_before_the_pods() -> None:
    own = {"runAsUser": 5, "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}
    pod = make_pod(
        container(securityContext=own),
        securityContext={"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3},
    )
    found = security(pod)
    assert (found.run_as_user.value, found.run_as_group.value) == (5, 2)
    assert list(found.supplemental_groups) == [3]
    assert list(found.capabilities.add_capabilities) == ["NET_ADMIN"]
    assert found.seccomp.profile_type == pb.SecurityProfile.Unconfined
    assert "/proc/kcore" in found.masked_paths


def test_privileged_sees_everything_and_the_image_names_the_user() -> None:
    pod = make_pod(container(securityContext={"privileged": True}))
    found = security(pod, pb.Image(id="i", username="app"))
    assert found.privileged
    assert not found.masked_paths
    assert found.run_as_username == "app"
    assert not found.HasField("run_as_user")


@pytest.mark.parametrize(
    ("context", "image", "message"),
    [
        ({"runAsUser": 0}, IMAGE, "container's runAsUser breaks non-root policy"),
        ({}, IMAGE, "container has runAsNonRoot and image will run as root"),
        ({}, pb.Image(id="i"), "container has runAsNonRoot and image will run as root"),
        ({}, pb.Image(username="app"), "image has non-numeric user (app)"),
    ],
)
def test_run_as_non_root(context: dict[str, Any], image: pb.Image, message: str) -> None:
    pod = make_pod(container(securityContext={"runAsNonRoot": True} | context))
    with pytest.raises(ConfigError, match=r"non-root|runAsNonRoot") as caught:
        security(pod, image)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "expected", "missing"),
    [
        ({"dnsPolicy": "Default"}, HOST, False),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, HOST, False),
        ({"dnsPolicy": "None"}, ResolvConf(), False),
        (
            {"dnsPolicy": "ClusterFirst"},
            ResolvConf(
                ("10.96.0.10",),
                (
                    "default.svc.cluster.local",
                    "svc.cluster.local",
                    "cluster.local",
                    "corp.test",
                ),
                ("ndots:5",),
            ),
            False,
        ),
    ],
)
def test_dns(fields: dict[str, Any], expected: ResolvConf, missing: bool) -> None:
    found, said = pod_dns(make_pod(**fields), CLUSTER, HOST)
    assert (found, said is not None) == (expected, missing)


def test_dns_without_a_cluster_dns_falls_back_and_says_so() -> None:
    found, said = pod_dns(make_pod(dnsPolicy="ClusterFirst"), ClusterDns(), HOST)
    assert found == HOST
    assert said is not None
    assert said.startswith('pod: "p_default(uid-p)". kubelet does not have ClusterDNS IP')


def test_dns_config_is_merged() -> None:
    config = {
        "nameservers": ["192.0.2.1", "192.0.2.53"],
        "searches": ["x.test"],
        "options": [{"name": "timeout", "value": "9"}, {"name": "edns0"}],
    }
    found, _ = pod_dns(make_pod(dnsPolicy="Default", dnsConfig=config), CLUSTER, HOST)
    assert found == ResolvConf(
        ("192.0.2.53", "192.0.2.1"), ("corp.test", "x.test"), ("timeout:9", "edns0")
    )


def test_a_resolv_conf_is_read() -> None:
    text = "# c\nnameserver 192.0.2.1 \nsearch a.test . b.test\noptions ndots:2 rotate\n"
    assert parse_resolv_conf(text) == ResolvConf(
        ("192.0.2.1",), ("a.test", "b.test"), ("ndots:2", "rotate")
    )


def test_hosts() -> None:
    pod = make_pod(subdomain="sub", hostAliases=[{"ip": "192.0.2.1", "hostnames": ["x", "y"]}])
    text = hosts_file(pod, ("10.0.0.1",), "cluster.local")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.0.0.1\tp.sub.default.svc.cluster.local\tp\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n192.0.2.1\tx\ty\n")
    long = make_pod(meta={"name": "a" * 62 + ".b"})
    assert pod_hostname(long) == "a" * 62


def test_a_hook_survives_its_pod_in_the_annotations() -> None:
    hook = {"preStop": {"exec": {"command": ["bye"]}}}
    pod = make_pod(container(lifecycle=hook))
    found = pre_stop_of(container_annotations(pod, containers(pod)[0], 0))
    assert found is not None
    assert msgspec.to_builtins(found) == hook["preStop"]
    assert pre_stop_of({}) is None


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({}, []),
        ({"hostUsers": False}, ["spec.hostUsers=false"]),
        ({"runtimeClassName": "x"}, ["spec.runtimeClassName"]),
    ],
)
def test_what_is_refused_by_name(fields: dict[str, Any], refused: list[str]) -> None:
    assert unsupported(make_pod(**fields)) == refused


def test_host_ports_are_refused_but_on_the_hosts_network() -> None:
    ports = container(ports=[{"containerPort": 80, "hostPort": 80}])
    assert unsupported(make_pod(ports))[0].startswith("container a: hostPort")
    assert unsupported(make_pod(ports, hostNetwork=True)) == []


def test_room_on_the_node() -> None:
    admission = Admission({"cpu": "2", "memory": "1Gi", "pods": "3"})

    def pod(name: str, cpu: str) -> core_v1.Pod:
        return make_pod(container(resources={"requests": {"cpu": cpu}}), meta={"uid": name})

    assert admission.admit(pod("a", "1500m"), runs_already=False) is None
    refusal = admission.admit(pod("b", "600m"), runs_already=False)
    assert refusal is not None
    assert (refusal.reason, refusal.message) == (
        "OutOfcpu",
        "Pod was rejected: Node didn't have enough resource: cpu, "
        "requested: 600, used: 1500, capacity: 2000",
    )
    assert admission.admit(pod("c", "600m"), runs_already=True) is None
    assert admission.admit(pod("d", "0"), runs_already=False) is None
    full = admission.admit(pod("e", "0"), runs_already=False)
    assert full is not None
    assert full.reason == "OutOfpods"
    admission.release("a")
    assert admission.admit(pod("b", "600m"), runs_already=False) is None


def test_a_sysctl_that_reaches_beyond_the_pod_is_forbidden() -> None:
    def refusal(name: str) -> str:
        context = {"sysctls": [{"name": name, "value": "1"}]}
        found = Admission({}).admit(make_pod(securityContext=context), runs_already=False)
        return found.reason if found else ""

    assert refusal("net.ipv4.tcp_syncookies") == ""
    assert refusal("kernel.msgmax") == "SysctlForbidden"


def test_garbage_keeps_the_last_two_runs() -> None:
    pod = make_pod()
    runs = [record(pod, "a", "exited", restart_count=n, sandbox_id=f"s{n}") for n in (3, 2, 1, 0)]
    sandboxes = [SandboxRecord(f"s{n}", ready=n == 3) for n in (3, 2, 1, 0)]
    garbage = find_garbage(PodRuntime(tuple(sandboxes), tuple(runs)))
    assert [c.restart_count for c in garbage.containers] == [1, 0]
    assert [s.id for s in garbage.sandboxes] == ["s1", "s0"]


@pytest.mark.parametrize(
    ("image", "full", "registry"),
    [
        ("busybox", "busybox:latest", "docker.io/library/busybox"),
        ("me/app:1", "me/app:1", "docker.io/me/app"),
        ("localhost/app", "localhost/app:latest", "localhost/app"),
        ("r.test:5000/a/b:1", "r.test:5000/a/b:1", "r.test:5000/a/b"),
        ("r.test/a@sha256:0", "r.test/a@sha256:0", "r.test/a"),
    ],
)
def test_names_of_images(image: str, full: str, registry: str) -> None:
    assert (normalized(image), registry_of(image)) == (full, registry)


@pytest.mark.parametrize(
    ("registry", "image", "expected"),
    [
        ("r.test", "r.test/a:1", True),
        ("https://r.test/v2/", "r.test/a:1", True),
        ("r.test/team", "r.test/team/a", True),
        ("r.test/team", "r.test/other/a", False),
        ("r.test", "r.tested/a", False),
        ("https://index.docker.io/v1/", "busybox", True),
    ],
)
def test_credentials_fit_their_registry(registry: str, image: str, expected: bool) -> None:
    assert fits(registry, image) is expected


def test_a_pull_secret_is_read_and_a_wrong_one_named() -> None:
    auth = base64.b64encode(b"user:pa:ss").decode()
    config = json.dumps({"auths": {"r.test": {"auth": auth}}}).encode()

    def pull_secret(kind: str, data: bytes) -> core_v1.Secret:
        encoded = {".dockerconfigjson": base64.b64encode(data).decode()}
        return core_v1.Secret(type=kind, data=encoded)

    kind = "kubernetes.io/dockerconfigjson"
    [found] = credentials_of(pull_secret(kind, config))
    assert (found.registry, found.username, found.password) == ("r.test", "user", "pa:ss")
    for wrong in (pull_secret(kind, b"{"), pull_secret("Opaque", config), pull_secret(kind, b"[]")):
        with pytest.raises(ValueError, match=r"cannot be read|is none of a pull secret"):
            credentials_of(wrong)


def test_the_pull_policy_of_latest_is_always() -> None:
    policies = {
        name: pull_policy(core_v1.Container(image=name)) for name in ("a", "a:latest", "a:1")
    }
    assert policies == {"a": "Always", "a:latest": "Always", "a:1": "IfNotPresent"}


V1 = (
    "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0"
)
V2 = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0"


def test_cgroup_hierarchies_are_found() -> None:
    assert [h.controllers for h in find_hierarchies(V1)] == [("cpu",), ("memory",)]
    assert [h.unified for h in find_hierarchies(V2)] == [True]
    # Both mounted, as on this VM: v1 is where the controllers are.
    assert not find_hierarchies(f"{V1}\n{V2}")[0].unified
    assert (cpu_weight(2), cpu_weight(1024), cpu_weight(262_144)) == (1, 39, 10_000)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (
            "c {root}/cpu cgroup rw,cpu\nc {root}/memory cgroup rw,memory",
            {"cpu/cpu.shares": "256", "memory/memory.limit_in_bytes": str(64 << 20)},
        ),
        (
            "c {root}/all cgroup2 rw",
            {
                "all/cpu.weight": "10",
                "all/cpu.max": "25000 100000",
                "all/memory.max": str(64 << 20),
            },
        ),
    ],
    ids=["v1", "v2"],
)
def test_pod_cgroups(tmp_path: Path, text: str, values: dict[str, str]) -> None:
    for name in ("cpu", "memory", "all"):
        (tmp_path / name).mkdir()
    cgroups = CgroupManager("/pinnace", find_hierarchies(text.format(root=tmp_path)))
    cgroups.prepare()
    limits = {"cpu": "250m", "memory": "64Mi"}
    pod = make_pod(container(resources={"limits": limits, "requests": limits}))
    assert cgroups.pod_parent(pod) == "/pinnace/poduid-p"
    cgroups.ensure_pod(pod)
    for name, value in values.items():
        mount, _, file = name.partition("/")
        assert (tmp_path / mount / "pinnace" / "poduid-p" / file).read_text() == value
    assert cgroups.pod_uids() == {"uid-p"}
    burstable = make_pod(container(resources={"requests": {"cpu": "1"}}), meta={"uid": "b"})
    assert cgroups.pod_parent(burstable) == "/pinnace/burstable/podb"


def test_last_words(tmp_path: Path) -> None:
    file, log = tmp_path / "file", tmp_path / "log"
    log.write_text("2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr F two\n2026-01-")
    assert read_termination_message(file, log, "") == "one\ntwo\n"
    assert read_termination_message(file, None, "said") == "said"
    file.write_text("x" * 5000)
    assert read_termination_message(file, log, "") == "x" * 4096
