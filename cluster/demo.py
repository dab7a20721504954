"""`pinnace demo`: from nothing to a web service that answers, and what to type next."""

import http.client
import importlib.resources
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from cluster import options, supervisor
from cluster.api import Api, ApiError
from cluster.errors import CommandError, command_name
from cluster.paths import Layout
from cluster.steps import Steps
from cluster.up import ensure_up

NAMESPACE = "default"
NAME = "hello"
SERVE_S = 60.0
CALL_S = 2.0
POLL_S = 0.03
# How long every pod has to answer once: the proxy follows a pod's readiness a moment later, and
# which pod answers is chance, but not for so long.
ANSWER_S = 10.0

# Where the kinds of the example lie in the API.
PATHS = {
    "Deployment": f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    "Service": f"/api/v1/namespaces/{NAMESPACE}/services",
}


@dataclass(frozen=True)
class Addresses:
    """Where the example answers."""

    cluster_ip: str
    node_port: str


def main(argv: list[str]) -> int:
    parser = options.data_dir_parser(
        "demo", "Start a single-node cluster if none is up, deploy examples/hello, call it."
    )
    options.add_flags(parser)
    arguments = parser.parse_args(argv)
    layout = options.layout_of(arguments)
    chosen = options.merged(options.load(layout), arguments)
    steps = Steps()
    ensure_up(layout, chosen, steps)
    api = Api(layout, chosen)
    try:
        addresses = _deploy(api, options.node_ip(chosen), steps)
    except (ApiError, OSError, http.client.HTTPException) as error:
        raise CommandError(f"the API server: {error}") from error
    answers = {url: _call(url, _replicas(), steps) for url in _urls(addresses)}
    _tell(layout, addresses, answers, steps.total_s)
    return 0


def manifests() -> list[dict[str, Any]]:
    """The objects of examples/hello/hello.yaml, which the package carries as a link to it."""
    text = (importlib.resources.files("cluster") / "hello.yaml").read_text()
    found: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    return found


def _replicas() -> int:
    return int(next(m for m in manifests() if m["kind"] == "Deployment")["spec"]["replicas"])


def _deploy(api: Api, node_ip: str, steps: Steps) -> Addresses:
    with steps.step("applying examples/hello/hello.yaml") as step:
        done = [f"{m['kind']} {m['metadata']['name']} {_apply(api, m)}" for m in manifests()]
        step.text = f"applied examples/hello/hello.yaml: {', '.join(done)}"
    with steps.step("waiting for the pods") as step:
        _until(lambda: _rolled_out(api), lambda: why_not(api))
        step.text = f"{_replicas()} pods are ready"
    spec = api.get(f"{PATHS['Service']}/{NAME}")["spec"]
    port = spec["ports"][0]
    return Addresses(f"{spec['clusterIP']}:{port['port']}", f"{node_ip}:{port['nodePort']}")


def _apply(api: Api, manifest: Mapping[str, Any]) -> str:
    """Create the object, or bring one that is there to what the file says."""
    path = PATHS[manifest["kind"]]
    name = manifest["metadata"]["name"]
    try:
        api.create(path, manifest)
    except ApiError as error:
        if error.code != 409:
            raise
        before = api.get(f"{path}/{name}")["metadata"]["resourceVersion"]
        after = api.merge(f"{path}/{name}", manifest)["metadata"]["resourceVersion"]
        return "unchanged" if before == after else "configured"
    return "created"


def _rolled_out(api: Api) -> bool:
    """As kubectl rollout status: the newest template's pods are all there, and available."""
    deployment = api.get(f"{PATHS['Deployment']}/{NAME}")
    status, wanted = deployment.get("status", {}), deployment["spec"]["replicas"]
    return bool(
        status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
        and status.get("replicas", 0) == wanted
    )


def why_not(api: Api) -> str:
    """Why the pods do not serve: their last warning, or their states."""
    base = f"/api/v1/namespaces/{NAMESPACE}"
    events = api.get(f"{base}/events")["items"]
    warnings = [e for e in events if e.get("type") == "Warning" and _is_about_hello(e)]
    if warnings:
        return str(warnings[-1].get("message", ""))
    pods = api.get(f"{base}/pods?labelSelector=app%3D{NAME}")["items"]
    states = [f"{p['metadata']['name']} {p.get('status', {}).get('phase')}" for p in pods]
    return ", ".join(states) or "no pods yet"


def _is_about_hello(event: Mapping[str, Any]) -> bool:
    about = event.get("involvedObject") or event.get("regarding") or {}
    return str(about.get("name", "")).startswith(NAME)


def _until(holds: Callable[[], bool], why: Callable[[], str]) -> None:
    deadline_s = supervisor.now_s() + SERVE_S
    while not holds():
        if supervisor.now_s() > deadline_s:
            raise CommandError(f"{NAME} does not serve after {SERVE_S:.0f} s: {why()}")
        time.sleep(POLL_S)


def _urls(addresses: Addresses) -> list[str]:
    return [f"http://{addresses.cluster_ip}/", f"http://{addresses.node_port}/"]


def _call(url: str, replicas: int, steps: Steps) -> list[str]:
    """The different answers of the service: calls until every pod has answered once."""
    # Our own service; a proxy of the environment has no way to its address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline_s = supervisor.now_s() + ANSWER_S
    with steps.step(f"calling {url}") as step:
        answers: set[str] = set()
        failure = ""
        while len(answers) < replicas:
            if supervisor.now_s() > deadline_s:
                got = "; ".join(sorted(answers)) or failure
                raise CommandError(f"{url} answered from {len(answers)} of {replicas} pods: {got}")
            try:
                with opener.open(url, timeout=CALL_S) as response:
                    answers.add(response.read().decode().strip())
            except (OSError, http.client.HTTPException) as error:
                failure = str(error)
                time.sleep(POLL_S)
        step.text = f"{url} answers, from {len(answers)} pods"
    return sorted(answers)


def _tell(
    layout: Layout, addresses: Addresses, answers: Mapping[str, list[str]], total_s: float
) -> None:
    print()
    for url, texts in answers.items():
        print(f"$ curl {url}")
        print("\n".join(f"  {text}" for text in texts))
    me = command_name()
    print(f"""
A cluster of one node runs and serves, {total_s:.1f} s from the start. What to type next:

  export KUBECONFIG={layout.kubeconfig}
  kubectl get all -o wide
  kubectl logs deployment/{NAME}
  kubectl scale deployment/{NAME} --replicas=5
  curl http://{addresses.node_port}/
  {me} status; {me} down; {me} reset --yes""")
