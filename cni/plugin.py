"""The CNI plugin executable: pass the request to Pinnace's agent, print its answer.

Started by containerd as `python3 -I -S`, so: standard library only, nothing slow to import, and
`json` only when something went wrong. `cni.install` copies this file under the name of each
plugin and fills in the two paths below.

The wire: environment entries `KEY=VALUE`, each ended by NUL, one more NUL, then stdin until the
end of the stream. The answer: `<exit status> <length of body in bytes>\n<body>`.
"""

import _socket
import os
import sys
import time

SOCKET_PATH = "/run/pinnace/cni.sock"
TOMBSTONE_DIR = "/var/lib/pinnace/cni/tombstones"

# How long ADD waits for an agent that is being restarted.
AGENT_WAIT_S = 10.0
RETRY_EVERY_S = 0.05
# Longer than the server's own deadline for one request, which answers with a better reason.
ANSWER_WAIT_S = 30.0
TRY_AGAIN_LATER = 11
IO_FAILURE = 5


class AgentAway(Exception):
    """Nobody listens, or the listener died before it had answered."""


def main() -> int:
    command = os.environ.get("CNI_COMMAND", "")
    try:
        config = sys.stdin.buffer.read()
    except OSError as error:
        return fail(IO_FAILURE, "cannot read the network configuration", str(error))
    request = encode(os.environb, config)
    try:
        if command == "DEL":
            return delete(request)
        return patiently(request, AGENT_WAIT_S if command == "ADD" else 0.0)
    except AgentAway as error:
        why = f"Pinnace's agent does not answer on {SOCKET_PATH}: {error}"
        # CNI 1.1: what STATUS says when ADD cannot be served is code 50.
        return fail(50 if command == "STATUS" else TRY_AGAIN_LATER, "the agent is not there", why)
    except OSError as error:
        return fail(IO_FAILURE, "cannot talk to the agent", str(error))


def encode(environ: "os._Environ[bytes]", config: bytes) -> bytes:
    entries = [k + b"=" + v + b"\0" for k, v in environ.items() if k.startswith(b"CNI_")]
    return b"".join(entries) + b"\0" + config


def patiently(request: bytes, wait_s: float) -> int:
    """Ask until somebody answers or `wait_s` have passed. Every command may be asked twice."""
    deadline_s = time.monotonic() + wait_s  # noqa: TID251 - no clock can be injected here
    while True:
        try:
            return ask(request)
        except AgentAway:
            if time.monotonic() + RETRY_EVERY_S > deadline_s:  # noqa: TID251
                raise
        time.sleep(RETRY_EVERY_S)


def delete(request: bytes) -> int:
    """DEL succeeds without an agent: the tombstone tells the next one what to take down. The
    loopback interface goes with the namespace and needs none.

    The agent listens first and reads tombstones second. So asking once more after the tombstone
    is written leaves no gap: either this finds the new agent, or the new agent finds it.
    """
    try:
        return ask(request)
    except AgentAway:
        if os.path.basename(sys.argv[0]) == "loopback":
            return 0
        tombstone = bury(request)
    try:
        status = ask(request)
    except AgentAway:
        return 0
    try:  # noqa: SIM105 - contextlib would have to be imported
        os.unlink(tombstone)
    except FileNotFoundError:
        pass  # somebody who asked for the same was here first
    return status


def bury(request: bytes) -> str:
    """One tombstone per interface, however often its DEL comes."""
    os.makedirs(TOMBSTONE_DIR, mode=0o700, exist_ok=True)
    name = os.environ.get("CNI_CONTAINERID", "") + "-" + os.environ.get("CNI_IFNAME", "")
    path = f"{TOMBSTONE_DIR}/{name.replace('/', '_')}"
    temporary = f"{TOMBSTONE_DIR}/.{os.getpid()}"
    with open(temporary, "wb") as file:
        file.write(request)
    os.rename(temporary, path)
    return path


def ask(request: bytes) -> int:
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
    connection.settimeout(ANSWER_WAIT_S)
    try:
        connection.connect(SOCKET_PATH)
        connection.sendall(request)
        connection.shutdown(_socket.SHUT_WR)
        answer = receive(connection)
    except (FileNotFoundError, ConnectionError, BlockingIOError) as error:
        # BlockingIOError: its queue of connections is full, which passes.
        raise AgentAway(str(error)) from None
    finally:
        connection.close()
    head, found, body = answer.partition(b"\n")
    status, _, length = head.partition(b" ")
    if not found or not status.isdigit() or length != b"%d" % len(body):
        raise AgentAway("the connection was cut before the answer was complete")
    sys.stdout.buffer.write(body)
    sys.stdout.buffer.flush()
    return int(status)


def receive(connection: "_socket.socket") -> bytes:
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def fail(code: int, message: str, details: str) -> int:
    import json

    error = {"cniVersion": "1.0.0", "code": code, "msg": message, "details": details}
    sys.stdout.write(json.dumps(error) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
