"""A machine inside this machine: its own network, mounts, processes and host name.

Tests that start a whole cluster do it in here, so that a cluster in use on the host, and another
such test, are not in the way. It is as real as the host: same kernel, same containerd binary.
cgroups have no such walls; there a cluster gets a root of its own (--cgroup-root).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ADDRESS = "192.0.2.10"  # TEST-NET-1, RFC 5737
SETUP = rf"""
set -e
resolv=$(cat /etc/resolv.conf)
# The mounts of containers on the host are none of ours; some hold files that it wants to remove.
awk '$5 ~ "^/(run|tmp|var/lib)/" {{print $5}}' /proc/self/mountinfo | tac |
    xargs -r umount -l 2>/dev/null || true
mount -t tmpfs -o mode=755 tmpfs /run
# What is written below /var/lib stays in here.
own=/run/varlib
mkdir -p $own/upper $own/work
mount -t overlay -o lowerdir=/var/lib,upperdir=$own/upper,workdir=$own/work var /var/lib
rm -rf /var/lib/cni
mkdir -p "$(dirname "$(readlink -m /etc/resolv.conf)")"
[ -e /etc/resolv.conf ] || printf '%s\\n' "$resolv" >"$(readlink -m /etc/resolv.conf)"
# sysfs shows the links of the network namespace that it was mounted in.
mkdir /run/cgroup
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount -l /run/cgroup
rmdir /run/cgroup
hostname tour
ip link set lo up
ip link add eth0 type veth peer name uplink
ip addr add {ADDRESS}/24 dev eth0
ip link set eth0 up
ip link set uplink up
ip route add default via 192.0.2.1
echo ready
# The end of the test's process closes our input, and with this process all others here end.
exec 3<&0
trap 'exit 0' USR1
{{ cat <&3 >/dev/null; kill -USR1 1; }} &
while :; do sleep 3600 & wait; done
"""


class Machine:
    """Made by `with`; what runs in it ends with it, and what it mounted is gone."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cgroup_root = f"/pinnace-{name}-{os.getpid()}"

    def __enter__(self) -> "Machine":
        self.directory = Path(tempfile.mkdtemp(prefix=f"pinnace-{self.name}-"))
        self.data_dir = self.directory / "data"
        namespaces = ["--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc"]
        self._holder = subprocess.Popen(
            ["unshare", *namespaces, "--fork", "--kill-child", "sh", "-c", SETUP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._holder.stdout
        said = []
        while (line := self._holder.stdout.readline()) != "ready\n":
            said.append(line)
            if not line:
                raise RuntimeError(f"no machine of its own: {''.join(said)}")
        self.init_pid = int(
            Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
            .read_text()
            .split()[0]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._holder.kill()
        self._holder.wait()
        for end in (self._holder.stdin, self._holder.stdout):
            if end:
                end.close()
        # What ran in here is dying now; a cgroup can go when the last of it has.
        for _ in range(500):
            if not self._remove_cgroups():
                break
            time.sleep(0.01)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _remove_cgroups(self) -> list[Path]:
        """Remove our cgroups; returns those that are still in use."""
        busy = []
        for top in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]:
            for name, _, _ in os.walk(top / self.cgroup_root.strip("/"), topdown=False):
                try:
                    Path(name).rmdir()
                except OSError:
                    busy.append(Path(name))
        return busy

    def argv(self, *words: str | Path) -> list[str]:
        """The command line that runs `words` in here."""
        enter = ["nsenter", "-t", str(self.init_pid), "--net", "--mount", "--pid", "--uts", "--ipc"]
        return [*enter, "--", *map(str, words)]

    def run(
        self, *words: str | Path, check: bool = True, timeout_s: float = 120, **more: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in here; by default its failure is an error with all that it said."""
        settings: dict[str, Any] = {"stdin": subprocess.DEVNULL} if "input" not in more else {}
        done = subprocess.run(
            self.argv(*words),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            **settings | more,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"{' '.join(map(str, words))}: exit code {done.returncode}\n"
                f"{done.stdout}{done.stderr}{self.logs()}"
            )
        return done

    def pinnace(self, command: str, *words: str | Path, **more: Any) -> Any:
        """Run a command of the installation under test, on this machine's data directory."""
        script = Path(sys.executable).with_name("pinnace")
        return self.run(script, command, "--data-dir", self.data_dir, *words, **more)

    def up(self, *words: str | Path, **more: Any) -> Any:
        return self.pinnace("up", "--cgroup-root", self.cgroup_root, *words, **more)

    def logs(self) -> str:
        """The last lines of each daemon, for the report of a failed test."""
        text = ""
        for path in sorted(self.data_dir.glob("log/*.log")):
            lines = path.read_text(errors="replace").splitlines()[-15:]
            text += "\n".join(["", f"--- {path.name}", *lines])
        return text
