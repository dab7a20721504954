"""A cluster of real processes: on loopback, or each member in a network namespace of its own.

With namespaces a link can be cut. They belong to processes that end with the test, so nothing of
them is left behind, whatever happens.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from store_processes import Certificates, Member, free_ports

ROOT = Path(__file__).parents[2]
AGENT = Path(__file__).with_name("store_agent.py")
HEARTBEAT_MS = 50
ELECTION_MS = 500
ELECTION_S = ELECTION_MS / 1000
PATIENCE_S = 20.0


class Network(Protocol):
    """Where members live; `enter` runs a command among them, at `""`, or as one of them."""

    def address(self, name: str) -> tuple[str, int, int]:
        """Host, client port, peer port of a member."""
        ...

    def enter(self, name: str) -> list[str]: ...

    def close(self) -> None: ...


class Loopback:
    """For one machine without root."""

    def address(self, name: str) -> tuple[str, int, int]:
        client, peer = free_ports(2)
        return "127.0.0.1", client, peer

    def enter(self, name: str) -> list[str]:
        return []

    def close(self) -> None: ...


class Namespace:
    """A network namespace that lasts as long as this process holds it."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up; echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == b"ready\n"

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def enter(self) -> list[str]:
        return ["nsenter", "-t", str(self.pid), "--net", "--"]

    def run(self, command: str) -> None:
        for line in filter(None, map(str.strip, command.splitlines())):
            subprocess.run([*self.enter, *line.split()], check=True, capture_output=True)

    def close(self) -> None:
        self._holder.kill()
        self._holder.communicate()


class Namespaces:
    """A bridge in a namespace of its own, and a link from it to each member's."""

    def __init__(self) -> None:
        self._hub = Namespace()
        self._members: dict[str, tuple[Namespace, str]] = {}
        self._hub.run(
            """ip link add hub type bridge
            ip addr add 198.18.0.254/24 dev hub
            ip link set hub up"""
        )

    def address(self, name: str) -> tuple[str, int, int]:
        host = f"198.18.0.{len(self._members) + 1}"  # RFC 2544: for tests of networks
        member = Namespace()
        self._members[name] = member, host
        self._hub.run(
            f"""ip link add {name} type veth peer name eth0 netns {member.pid}
            ip link set {name} master hub
            ip link set {name} up"""
        )
        member.run(f"ip addr add {host}/24 dev eth0\nip link set eth0 up")
        return host, 2379, 2380

    def enter(self, name: str) -> list[str]:
        return self._members[name][0].enter if name else self._hub.enter

    def cut(self, name: str, other: str, *, one_way: bool = False) -> None:
        """Nothing passes from `other` to `name`, and nothing back unless `one_way`."""
        self._block("-I", name, other)
        if not one_way:
            self._block("-I", other, name)

    def mend(self, name: str, other: str, *, one_way: bool = False) -> None:
        self._block("-D", name, other)
        if not one_way:
            self._block("-D", other, name)

    def unplug(self, name: str) -> None:
        """From the other members, and from clients."""
        self._hub.run(f"ip link set {name} down")

    def plug(self, name: str) -> None:
        self._hub.run(f"ip link set {name} up")

    def close(self) -> None:
        for member, _ in self._members.values():
            member.close()
        self._hub.close()

    def _block(self, how: str, name: str, other: str) -> None:
        at, _ = self._members[name]
        _, source = self._members[other]
        at.run(f"iptables -w {how} INPUT -s {source} -j DROP")


class Refusal(Exception):
    """What a member answered with a status: its code's name and its text."""

    def __init__(self, code: str, details: str) -> None:
        super().__init__(f"{code}: {details}")
        self.code = code
        self.details = details


class Agent:
    """The process that talks to the members for the test (`store_agent`)."""

    def __init__(self, enter: Sequence[str], certificates: Certificates) -> None:
        cert, key = certificates.pair("client")
        files = [str(path) for path in (certificates.ca, cert, key)]
        self._popen = subprocess.Popen(
            [*enter, sys.executable, str(AGENT), *files],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def do(self, do: str, **words: Any) -> Any:
        """Raises Refusal."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._popen.stdin.write(json.dumps({"do": do, **words}) + "\n")
        self._popen.stdin.flush()
        answer = json.loads(self._popen.stdout.readline())
        if "code" in answer:
            raise Refusal(answer["code"], answer["details"])
        return answer["ok"]

    def call(self, url: str, method: str, timeout_s: float = 10.0, **request: Any) -> Any:
        """One call of etcd's API; bytes are base64, as in JSON. Raises Refusal."""
        return self.do("call", url=url, method=method, request=request, timeout_s=timeout_s)

    def close(self) -> None:
        self._popen.kill()
        self._popen.communicate()


class Cluster:
    """Members m1, m2, ... and an agent among them. Closed, nothing of it runs any more."""

    def __init__(self, directory: Path, network: Network, size: int, *flags: str) -> None:
        self.network = network
        self.directory = directory
        self.certificates = Certificates(directory)
        self.flags = [
            f"--heartbeat-interval={HEARTBEAT_MS}", f"--election-timeout={ELECTION_MS}", *flags,
        ]  # fmt: skip
        self.members: dict[str, Member] = {}
        for number in range(1, size + 1):
            self.new_member(f"m{number}")
        self.agent = Agent(network.enter(""), self.certificates)

    def new_member(self, name: str) -> Member:
        """Not started yet."""
        host, client_port, peer_port = self.network.address(name)
        member = Member(
            name, self.directory, host, client_port, peer_port, self.certificates,
            self.network.enter(name), self.flags,
        )  # fmt: skip
        self.members[name] = member
        return member

    @property
    def initial_cluster(self) -> str:
        return ",".join(f"{m.name}={m.peer_url}" for m in self.members.values())

    @property
    def urls(self) -> list[str]:
        return [member.client_url for member in self.members.values()]

    def start(self) -> None:
        for member in self.members.values():
            member.start(self.initial_cluster)
        for member in self.members.values():
            member.wait_ready()

    def restart(self, member: Member) -> None:
        member.start(self.initial_cluster)
        member.wait_ready()

    def status(self, member: Member) -> Any:
        """None where it does not answer."""
        try:
            return self.agent.call(member.client_url, "Maintenance/Status", 1.0)
        except Refusal:
            return None

    def leader(self) -> Member:
        """Whom a quorum follows; waits until there is one."""
        return self.wait_for("a leader", self._leader)

    def _leader(self) -> Member | None:
        statuses = {name: self.status(member) for name, member in self.members.items()}
        known = {name: status for name, status in statuses.items() if status is not None}
        newest = max((int(status["raftTerm"]) for status in known.values()), default=0)
        for name, status in known.items():
            follow = [
                s for s in known.values()
                if s["leader"] == status["header"]["memberId"] and int(s["raftTerm"]) == newest
            ]  # fmt: skip
            if 2 * len(follow) > len(self.members):
                return self.members[name]
        return None

    def followers(self) -> list[Member]:
        leader = self.leader()
        return [member for member in self.members.values() if member is not leader]

    def wait_for(self, what: str, ask: Callable[[], Any]) -> Any:
        """The first answer that is true."""
        deadline_s = time.monotonic() + PATIENCE_S
        while not (found := ask()):
            assert time.monotonic() < deadline_s, f"no {what}\n{self.logs()}"
            time.sleep(0.02)
        return found

    def member_ids(self) -> dict[str, str]:
        answer = self.agent.call(self.leader().client_url, "Cluster/MemberList")
        return {member["name"]: member["ID"] for member in answer["members"]}

    def logs(self) -> str:
        parts = [f"--- {m.name}\n{m.log.read_text()[-3000:]}" for m in self.members.values()]
        return "\n".join(parts)

    def close(self) -> None:
        for member in self.members.values():
            if member.process is not None:
                member.process.kill()
        self.agent.close()
        self.network.close()
