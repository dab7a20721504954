"""Pods on a real containerd under the real API: each scenario is a thing that users see.

The scenarios run side by side on one node, as pods do; a failure names its scenario.
"""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from realcontainerd import BUSYBOX
from realnode import ADDRESS, NODE, RealNode, is_ready, phase, real_node, until
from realregistry import registry

from cluster import images
from kubeapi.types import core_v1
from nodeagent.cri import CriClient
from nodeagent.pods.spec import metadata
from pinnace_wire import cri_pb2 as pb

pytestmark = [pytest.mark.realtime, pytest.mark.needs("root", "containerd", "busybox", "iptables")]

Scenario = Callable[[RealNode], Awaitable[None]]
SCENARIOS: list[Scenario] = []


def scenario(function: Scenario) -> Scenario:
    SCENARIOS.append(function)
    return function


def shell(script: str, name: str = "a", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": BUSYBOX, "command": ["sh", "-c", script]} | fields


def spec(*containers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"containers": list(containers), "terminationGracePeriodSeconds": 0} | fields


def status_of(pod: core_v1.Pod, name: str = "a") -> core_v1.ContainerStatus:
    assert pod.status is not None
    every = [*(pod.status.initContainerStatuses or ()), *(pod.status.containerStatuses or ())]
    return next(status for status in every if status.name == name)


def state_of(pod: core_v1.Pod, name: str = "a") -> dict[str, Any]:
    """The container's state as {"running": ...} or its like; empty before the first status."""
    if pod.status is None or not pod.status.containerStatuses:
        return {}
    return msgspec.to_builtins(status_of(pod, name).state)


def waits_with(reason: str, name: str = "a") -> Callable[[core_v1.Pod], bool]:
    return lambda pod: state_of(pod, name).get("waiting", {}).get("reason") == reason


async def finished(node: RealNode, name: str) -> core_v1.Pod:
    return await node.until(name, lambda pod: phase(pod) in ("Succeeded", "Failed"))


async def config_map(node: RealNode, name: str, **data: str) -> core_v1.ConfigMap:
    body = {"metadata": {"name": name, "namespace": "default"}, "data": data}
    return await node.create(core_v1.ConfigMap, body)


async def secret(node: RealNode, name: str, **data: str) -> core_v1.Secret:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    body = {"metadata": {"name": name, "namespace": "default"}, "data": encoded}
    return await node.create(core_v1.Secret, body)


@scenario
async def the_environment(node: RealNode) -> None:
    await config_map(node, "env-map", color="blue", shape="round")
    await secret(node, "env-secret", token="s3cret")
    env = [
        {"name": "PLAIN", "value": "1"},
        {"name": "JOINED", "value": "$(PLAIN)-$(C_color)-$(NOPE)-$$(PLAIN)"},
        {
            "name": "KEY",
            "valueFrom": {"configMapKeyRef": {"name": "env-map", "key": "shape"}},
        },
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "env-secret", "key": "token"}}},
        {
            "name": "MAYBE",
            "valueFrom": {"secretKeyRef": {"name": "none", "key": "k", "optional": True}},
        },
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}},
    ]
    container = shell(
        "env; echo arg $0",
        env=env,
        envFrom=[{"configMapRef": {"name": "env-map"}, "prefix": "C_"}],
        resources={"limits": {"memory": "64Mi"}},
        args=["$(PLAIN)"],
    )
    await node.pod("environment", spec(container, restartPolicy="Never"))
    pod = await finished(node, "environment")
    lines = dict(line.split("=", 1) for line in node.log(pod).splitlines() if "=" in line)
    wanted = {
        "PLAIN": "1",
        "JOINED": "1-blue-$(NOPE)-$(PLAIN)",
        "KEY": "round",
        "TOKEN": "s3cret",
        "C_color": "blue",
        "POD": "environment",
        "IP": pod.status.podIP if pod.status else "",
        "NODE": NODE,
        "MEM": str(64 << 20),
        "KUBERNETES_SERVICE_HOST": "10.96.0.1",
        "KUBERNETES_SERVICE_PORT": "443",
        "HOSTNAME": "environment",
    }
    assert {key: lines.get(key) for key in wanted} == wanted
    assert "MAYBE" not in lines
    assert "arg 1" in node.log(pod)


@scenario
async def volumes(node: RealNode) -> None:
    await config_map(node, "files", **{"a.txt": "one", "b.txt": "two"})
    await secret(node, "hidden", password="xyzzy")
    mounts = [
        {"name": "map", "mountPath": "/map"},
        {"name": "map", "mountPath": "/single", "subPath": "b.txt"},
        {"name": "secret", "mountPath": "/secret", "readOnly": True},
        {"name": "scratch", "mountPath": "/scratch"},
        {"name": "fast", "mountPath": "/fast"},
        {"name": "down", "mountPath": "/down"},
    ]
    script = (
        "cat /map/a.txt /single /secret/password; echo; stat -c %a /secret/..data/password;"
        "grep -c ' /fast tmpfs' /proc/mounts; grep -c ' /secret tmpfs' /proc/mounts;"
        "cat /down/labels; echo; touch /secret/x 2>/dev/null || echo read-only;"
        "echo hello >/scratch/note; sleep 1000"
    )
    reader = shell(
        "until cat /scratch/note; do sleep 0.1; done; sleep 1000",
        "b",
        volumeMounts=[{"name": "scratch", "mountPath": "/scratch"}],
    )
    sources = [
        {"name": "map", "configMap": {"name": "files"}},
        {"name": "secret", "secret": {"secretName": "hidden", "defaultMode": 0o400}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        {
            "name": "down",
            "downwardAPI": {
                "items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]
            },
        },
    ]
    both = spec(shell(script, volumeMounts=mounts), reader, volumes=sources)
    pod = await node.pod("volumes", both, labels={"app": "v"})
    await node.ready("volumes")
    await until(lambda: "read-only" in node.log(pod))
    said = node.log(pod).splitlines()
    assert said == ["onetwoxyzzy", "400", "1", "1", 'app="v"', "read-only"]
    await until(lambda: "hello" in node.log(pod, "b"))
    # A change of the ConfigMap reaches the files, all at once, without a restart.
    patch = {"data": {"a.txt": "changed"}}
    await node.client.patch(core_v1.ConfigMap, "files", patch, namespace="default")
    folder = node.data_dir / "node" / "pods" / (metadata(pod).uid or "") / "volumes"
    file = folder / "kubernetes.io~configmap" / "map" / "a.txt"
    await until(lambda: file.read_text() == "changed")
    await node.delete("volumes")
    await node.gone("volumes")
    await until(lambda: not folder.parent.exists())


@scenario
async def a_config_map_that_comes_later(node: RealNode) -> None:
    mount = {"name": "v", "mountPath": "/v"}
    source = {"name": "v", "configMap": {"name": "late"}}
    await node.pod("late", spec(shell("sleep 1000", volumeMounts=[mount]), volumes=[source]))
    message = await node.event("late", "FailedMount")
    assert message == 'MountVolume.SetUp failed for volume "v" : configmap "late" not found'
    assert state_of(await node.client.get(core_v1.Pod, "late", "default")) == {
        "waiting": {"reason": "ContainerCreating"}
    }
    await config_map(node, "late", k="v")
    await node.ready("late")


@scenario
async def an_env_reference_that_is_missing(node: RealNode) -> None:
    env = [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "absent", "key": "k"}}}]
    await node.pod("unset", spec(shell("sleep 1000", env=env)))
    pod = await node.until("unset", waits_with("CreateContainerConfigError"))
    assert state_of(pod)["waiting"]["message"] == 'configmap "absent" not found'


@scenario
async def init_containers_and_a_sidecar(node: RealNode) -> None:
    mounts = {"volumeMounts": [{"name": "s", "mountPath": "/s"}]}
    first = shell("echo first >>/s/order", "first", **mounts)
    side = shell("echo side >>/s/order; sleep 1000", "side", restartPolicy="Always", **mounts)
    last = shell("echo last >>/s/order", "last", **mounts)
    main = shell("cat /s/order", **mounts)
    await node.pod(
        "init",
        spec(
            main,
            initContainers=[first, side, last],
            volumes=[{"name": "s", "emptyDir": {}}],
            restartPolicy="Never",
        ),
    )
    pod = await finished(node, "init")
    assert phase(pod) == "Succeeded"
    assert node.log(pod).split() == ["first", "side", "last"]
    terminated = status_of(pod, "side").state
    assert terminated is not None
    assert terminated.terminated is not None


@scenario
async def a_crash_loop(node: RealNode) -> None:
    pod = await node.pod("crash", spec(shell("echo run; exit 3")))
    pod = await node.until("crash", waits_with("CrashLoopBackOff"))
    status = status_of(pod)
    assert (status.restartCount, phase(pod)) == (1, "Running")
    last = msgspec.to_builtins(status.lastState)["terminated"]
    assert (last["exitCode"], last["reason"]) == (3, "Error")
    message = state_of(pod)["waiting"]["message"]
    assert message.startswith("back-off 10s restarting failed container=a pod=crash_default(")
    assert (await node.event("crash", "BackOff")).startswith("Back-off restarting failed container")
    pod = await node.until("crash", lambda p: status_of(p).restartCount == 2)


@scenario
async def pods_that_end(node: RealNode) -> None:
    last_words = shell("echo the end >/dev/termination-log; exit 4")
    await node.pod("fails", spec(last_words, restartPolicy="Never"))
    tail = shell("echo from the log; exit 1", terminationMessagePolicy="FallbackToLogsOnError")
    await node.pod("logs-tail", spec(tail, restartPolicy="Never"))
    await node.pod("works", spec(shell("true"), restartPolicy="OnFailure"))
    pod = await finished(node, "fails")
    assert phase(pod) == "Failed"
    terminated = state_of(pod)["terminated"]
    assert (terminated["exitCode"], terminated["message"]) == (4, "the end\n")
    pod = await finished(node, "logs-tail")
    assert state_of(pod)["terminated"]["message"] == "from the log\n"
    pod = await finished(node, "works")
    assert (phase(pod), state_of(pod)["terminated"]["reason"]) == ("Succeeded", "Completed")
    uid = metadata(pod).uid or ""
    await until(lambda: not (node.data_dir / "node" / "pods" / uid).exists())
    await node.delete("works")
    await node.gone("works")


@scenario
async def probes(node: RealNode) -> None:
    web = {
        "name": "a",
        "image": images.HELLO,
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}},
        "livenessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
        "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1},
    }
    await node.pod("web", spec(web))
    await node.ready("web")
    sick = shell(
        "touch /tmp/ok; sleep 1; rm /tmp/ok; sleep 1000",
        livenessProbe={
            "exec": {"command": ["cat", "/tmp/ok"]},
            "periodSeconds": 1,
            "failureThreshold": 2,
        },
        readinessProbe={"exec": {"command": ["cat", "/tmp/ok"]}, "periodSeconds": 1},
    )
    await node.pod("sick", spec(sick))
    await node.ready("sick")
    await node.until("sick", lambda p: status_of(p).restartCount == 1)
    assert "Liveness probe failed: cat: can't open '/tmp/ok'" in await node.event(
        "sick", "Unhealthy"
    ) or ("Unhealthy" in dict(await node.events("sick")))
    killing = [m for r, m in await node.events("sick") if r == "Killing"]
    assert "Container a failed liveness probe, will be restarted" in killing


@scenario
async def an_image_that_is_not_there(node: RealNode) -> None:
    never = {"name": "a", "image": "pinnace.local/none:1", "imagePullPolicy": "Never"}
    await node.pod("never", spec(never))
    await node.until("never", waits_with("ErrImageNeverPull"))
    await node.pod("pull", spec({"name": "a", "image": "127.0.0.1:1/none:1"}))
    await node.until("pull", waits_with("ErrImagePull"))
    pod = await node.until("pull", waits_with("ImagePullBackOff"))
    said = 'Back-off pulling image "127.0.0.1:1/none:1"'
    assert state_of(pod)["waiting"]["message"].startswith(f"{said}: ErrImagePull: rpc error: code")
    assert await node.event("pull", "BackOff") == said
    reasons = {reason for reason, _ in await node.events("pull")}
    assert {"Pulling", "Failed", "BackOff"} <= reasons


@scenario
async def an_image_behind_a_password(node: RealNode) -> None:
    async with registry() as source:
        config = {".dockerconfigjson": base64.b64encode(source.docker_config.encode()).decode()}
        await node.create(
            core_v1.Secret,
            {
                "metadata": {"name": "pull", "namespace": "default"},
                "type": "kubernetes.io/dockerconfigjson",
                "data": config,
            },
        )
        wanted = shell("sleep 1000") | {"image": source.image}
        await node.pod("locked-out", spec(wanted))
        await node.until("locked-out", waits_with("ErrImagePull"))
        assert source.refused
        await node.pod("let-in", spec(wanted, imagePullSecrets=[{"name": "pull"}]))
        pod = await node.ready("let-in")
        assert status_of(pod).image == source.image
        said = [m for r, m in await node.events("let-in") if r == "Pulled"]
        assert said[0].startswith(f'Successfully pulled image "{source.image}" in ')
        await node.delete("locked-out")


@scenario
async def deletion_with_grace_and_hooks(node: RealNode) -> None:
    shared = node.data_dir / "shared"
    shared.mkdir()
    script = (
        "trap 'echo term >>/s/order; exit 0' TERM; echo up >>/s/order; while :; do sleep 0.1; done"
    )
    container = shell(
        script,
        volumeMounts=[{"name": "s", "mountPath": "/s"}],
        lifecycle={
            "postStart": {"exec": {"command": ["sh", "-c", "echo poststart >>/s/order"]}},
            "preStop": {"exec": {"command": ["sh", "-c", "echo prestop >>/s/order; sleep 1"]}},
        },
    )
    volume = {"name": "s", "hostPath": {"path": str(shared), "type": "Directory"}}
    wanted = spec(container, volumes=[volume]) | {"terminationGracePeriodSeconds": 20}
    pod = await node.pod("graceful", wanted)
    await node.ready("graceful")
    began_s = time.monotonic()
    await node.delete("graceful")
    await node.gone("graceful")
    assert 1.0 <= time.monotonic() - began_s < 10.0
    order = (shared / "order").read_text().split()
    assert sorted(order[:2]) == ["poststart", "up"]
    assert order[2:] == ["prestop", "term"]
    assert await node.event("graceful", "Killing") == "Stopping container a"
    logs = node.data_dir / "log" / "pods" / f"default_graceful_{metadata(pod).uid}"
    assert not logs.exists()


@scenario
async def a_shorter_grace_overtakes_a_longer_one(node: RealNode) -> None:
    await node.pod(
        "stubborn",
        spec(shell("trap '' TERM; while :; do sleep 1; done"))
        | {"terminationGracePeriodSeconds": 600},
    )
    await node.ready("stubborn")
    await node.delete("stubborn")
    await node.event("stubborn", "Killing")
    await node.delete("stubborn", 1)
    await node.gone("stubborn", 10.0)


@scenario
async def a_new_image_restarts_the_container(node: RealNode) -> None:
    await node.pod("upgrade", spec({"name": "a", "image": images.HELLO}))
    before = status_of(await node.ready("upgrade"))
    patch = {"spec": {"containers": [{"name": "a", "image": images.HELLO_2}]}}
    await node.client.patch(core_v1.Pod, "upgrade", patch, namespace="default")
    pod = await node.until("upgrade", lambda p: status_of(p).restartCount == 1)
    assert status_of(pod).containerID != before.containerID
    assert status_of(pod).image == images.HELLO_2
    killing = [m for r, m in await node.events("upgrade") if r == "Killing"]
    assert killing == ["Container a definition changed, will be restarted"]


@scenario
async def what_is_not_supported_is_said(node: RealNode) -> None:
    mount = [{"name": "v", "mountPath": "/v"}]
    nfs = {"name": "v", "nfs": {"server": "192.0.2.9", "path": "/x"}}
    await node.pod("nfs", spec(shell("sleep 1", volumeMounts=mount), volumes=[nfs]))
    assert await node.event("nfs", "FailedMount") == (
        'MountVolume.SetUp failed for volume "v" : '
        "volumes of type nfs are not supported by this agent"
    )
    port = shell("sleep 1", ports=[{"containerPort": 80, "hostPort": 8081}])
    await node.pod("hostport", spec(port))
    message = await node.event("hostport", "FailedCreatePodSandBox")
    assert "container a: hostPort" in message


@scenario
async def who_a_container_is(node: RealNode) -> None:
    script = (
        "id -u; id -g; id -G; touch /x 2>/dev/null || echo read-only root;"
        "grep CapEff /proc/self/status; stat -c %g /v"
    )
    container = shell(
        script,
        securityContext={
            "runAsUser": 1000,
            "runAsGroup": 1001,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    await node.pod(
        "who",
        spec(
            container,
            restartPolicy="Never",
            securityContext={"fsGroup": 2000, "supplementalGroups": [3000]},
            volumes=[{"name": "v", "emptyDir": {}}],
        ),
    )
    said = node.log(await finished(node, "who")).splitlines()
    assert said[:2] == ["1000", "1001"]
    assert set(said[2].split()) == {"1001", "2000", "3000"}
    assert "read-only root" in said
    assert "CapEff:\t0000000000000000" in said
    assert said[-1] == "2000"
    root = shell("true", securityContext={"runAsNonRoot": True})
    await node.pod("nonroot", spec(root))
    pod = await node.until("nonroot", waits_with("CreateContainerConfigError"))
    message = state_of(pod)["waiting"]["message"]
    assert message.startswith("container has runAsNonRoot and image will run as root (pod: ")


@scenario
async def limits_hold(node: RealNode) -> None:
    limits = {"cpu": "500m", "memory": "16Mi"}
    hungry = shell(
        "x=a; while :; do x=$x$x; done",
        resources={"limits": limits, "requests": limits},
    )
    await node.pod("hungry", spec(hungry, restartPolicy="Never"))
    pod = await finished(node, "hungry")
    terminated = state_of(pod)["terminated"]
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)
    assert pod.status is not None
    assert pod.status.qosClass == "Guaranteed"


@scenario
async def names_and_hosts(node: RealNode) -> None:
    container = shell("hostname; cat /etc/hosts; cat /etc/resolv.conf")
    wanted = spec(
        container,
        restartPolicy="Never",
        hostname="custom",
        hostAliases=[{"ip": "192.0.2.44", "hostnames": ["db", "db.test"]}],
        dnsPolicy="None",
        dnsConfig={"nameservers": ["192.0.2.53"], "searches": ["x.test"]},
    )
    await node.pod("names", wanted)
    pod = await finished(node, "names")
    said = node.log(pod)
    assert said.splitlines()[0] == "custom"
    assert pod.status is not None
    assert f"{pod.status.podIP}\tcustom" in said
    assert "192.0.2.44\tdb\tdb.test" in said
    assert "nameserver 192.0.2.53" in said
    assert "search x.test" in said


@scenario
async def a_pod_on_the_nodes_network(node: RealNode) -> None:
    env = [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    container = shell("echo $IP; cat /etc/hosts; ip addr", env=env)
    await node.pod("hostnet", spec(container, hostNetwork=True, restartPolicy="Never"))
    pod = await finished(node, "hostnet")
    said = node.log(pod)
    assert said.splitlines()[0] == ADDRESS
    assert "# Kubernetes-managed hosts file (host network)." in said
    assert "pinnace0" in said
    assert pod.status is not None
    assert (pod.status.podIP, pod.status.hostIP) == (ADDRESS, ADDRESS)


@scenario
async def a_deadline(node: RealNode) -> None:
    await node.pod("deadline", spec(shell("sleep 1000"), activeDeadlineSeconds=1))
    pod = await finished(node, "deadline")
    assert pod.status is not None
    assert (phase(pod), pod.status.reason) == ("Failed", "DeadlineExceeded")


@scenario
async def a_post_start_hook_that_fails(node: RealNode) -> None:
    hook = {"postStart": {"exec": {"command": ["false"]}}}
    await node.pod("hook", spec(shell("sleep 1000", lifecycle=hook)))
    assert await node.event("hook", "FailedPostStartHook") == "PostStartHook failed"


@scenario
async def limits_of_a_container_that_runs(node: RealNode) -> None:
    """What an in-place resize does, on its lowest level."""
    limits = {"cpu": "500m", "memory": "64Mi"}
    await node.pod("resized", spec(shell("sleep 1000", resources={"limits": limits})))
    pod = await node.ready("resized")
    container_id = (status_of(pod).containerID or "").removeprefix("containerd://")
    asked = pb.LinuxContainerResources(cpu_period=100_000, cpu_quota=30_000, cpu_shares=300)
    cri = CriClient(node.containerd.endpoint)
    try:
        await cri.update_resources(container_id, asked)
    finally:
        await cri.close()
    found = {path.read_text().strip() for path in cpu_limits(container_id)}
    assert found <= {"30000", "30000 100000"}
    assert found


def cpu_limits(container_id: str) -> list[Path]:
    """The files with the container's cpu quota, on cgroup v1 or v2."""
    root = Path("/sys/fs/cgroup")
    names = ("cpu.cfs_quota_us", "cpu.max")
    roots = [root / "cpu", root] if (root / "cpu").is_dir() else [root]
    folders = [f for r in roots[:1] for f in r.glob(f"pinnace-test-*/**/{container_id}")]
    return [folder / name for folder in folders for name in names if (folder / name).exists()]


@scenario
async def a_service_account_token(node: RealNode) -> None:
    token = {"path": "token", "expirationSeconds": 600}
    volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": token}]}}
    mount = {"name": "t", "mountPath": "/t"}
    await node.pod("token", spec(shell("sleep 1000", volumeMounts=[mount]), volumes=[volume]))
    message = ""
    async with asyncio.timeout(15):
        while not message and not is_ready(await node.client.get(core_v1.Pod, "token", "default")):
            message = dict(await node.events("token")).get("FailedMount", "")
            await asyncio.sleep(0.05)
    assert not message or "failed to fetch token" in message


async def test_scenarios(tmp_path: Path) -> None:
    async with real_node(tmp_path) as node:
        results = await asyncio.gather(*(one(node) for one in SCENARIOS), return_exceptions=True)
        failed = {
            one.__name__: result
            for one, result in zip(SCENARIOS, results, strict=True)
            if isinstance(result, BaseException)
        }
        for name, error in failed.items():
            print(f"--- {name}: {type(error).__name__}: {error}")
        assert not failed, sorted(failed)
