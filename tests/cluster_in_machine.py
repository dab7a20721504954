"""A whole cluster, started by `pinnace up` in a machine of its own, and kubectl to talk to it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.machine import Machine

WAIT_S = 30.0


class Cluster:
    """The cluster in `machine`; its kubectl is whatever the host has on its PATH."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.environment = (
            "env",
            f"KUBECONFIG={machine.data_dir}/admin.kubeconfig",
            f"HOME={machine.directory}",
        )

    def run(self, *words: str, check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run kubectl with `words`."""
        return self.machine.run(*self.environment, "kubectl", *words, check=check, **more)

    def kubectl(self, *words: str, **more: Any) -> str:
        """What kubectl prints for `words`; its failure is an error."""
        return str(self.run(*words, **more).stdout)

    def refused(self, *words: str, **more: Any) -> str:
        """What kubectl says when the server refuses."""
        done = self.run(*words, check=False, **more)
        assert done.returncode != 0, f"{' '.join(words)} was accepted: {done.stdout}"
        return str(done.stderr)

    def get(self, *words: str) -> Any:
        """The object or list that `kubectl get` finds, as JSON."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, manifest: str, *words: str) -> str:
        return self.kubectl("apply", *words, "-f", "-", input=manifest)

    def pods(self, *words: str) -> list[dict[str, Any]]:
        """The pods that are not on their way out."""
        found: list[dict[str, Any]] = self.get("pods", *words)["items"]
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def fetch(self, url: str) -> str:
        """The page at `url`, from the machine itself; empty when nobody answers."""
        # Debian's static busybox cannot look up names outside a container, so no wget.
        code = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=2).read().decode())"
        done = self.machine.run(sys.executable, "-I", "-c", code, check=False)
        return str(done.stdout).strip()

    def terminal(self, words: list[str], typed: str) -> str:
        """What a terminal shows when somebody types into kubectl there."""
        command = " ".join([*self.environment, "kubectl", *words])
        done = self.machine.run("script", "-qec", command, "/dev/null", input=typed)
        return str(done.stdout)


def until(holds: Callable[[], Any], limit_s: float = WAIT_S) -> Any:
    """The first true value of `holds`: real pods take real time."""
    deadline_s = time.monotonic() + limit_s
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise AssertionError(f"did not become true in {limit_s:.0f} s")
        time.sleep(0.1)


def is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
