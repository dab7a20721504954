"""Stopping and removing every pod of our containerd, when no agent does: `down --pods`, `reset`."""

import asyncio
from collections.abc import Awaitable, Iterable

from cluster import containerd, control, daemons, supervisor
from cluster.control import DaemonSpec
from cluster.errors import CommandError
from cluster.options import Options
from cluster.paths import Layout
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.pods.identity import POD_GRACE_S

# containerd serves each stop with a thread or two; more at once would only queue there.
AT_ONCE = 16
GRACE_S_MAX = 30
READY_S = 30.0
POLL_S = 0.03


def only_containerd(layout: Layout, chosen: Options, environment: dict[str, str]) -> None:
    """End every daemon but containerd, or start it alone: nobody brings a pod back then."""
    layout.containerd_root.mkdir(parents=True, exist_ok=True)
    keep: list[DaemonSpec] = [
        spec for spec in daemons.specs(layout, chosen) if spec.name == "containerd"
    ]
    control.write_spec(layout, keep, environment)
    if control.reload(layout) is None:
        control.start(layout)
    containerd.wait_ready(layout)


def stop_all(layout: Layout, *, grace_s_max: int = GRACE_S_MAX, remove: bool = False) -> int:
    """Stop every pod, its containers first and with their grace; returns how many ran.

    `remove`: their remains in containerd too. Raises CommandError with the first failure, after
    every pod was tried.
    """
    return asyncio.run(_stop_all(layout, grace_s_max, remove))


async def _stop_all(layout: Layout, grace_s_max: int, remove: bool) -> int:
    client = CriClient(str(layout.containerd_socket))
    try:
        await _wait_ready(client)
        containers = await client.list_containers()
        sandboxes = await client.list_sandboxes()
        running = [c for c in containers if c.state == 1]  # CONTAINER_RUNNING
        await _each(
            client.stop_container(c.id, min(grace_s_max, _grace_s(dict(c.annotations))))
            for c in running
        )
        await _each(client.stop_sandbox(sandbox.id) for sandbox in sandboxes)
        if remove:
            await _each(client.remove_sandbox(sandbox.id) for sandbox in sandboxes)
        return len({container.pod_sandbox_id for container in running})
    except RuntimeServiceError as error:
        raise CommandError(f"containerd could not stop every pod: {error}") from error
    finally:
        await client.close()


async def _wait_ready(client: CriClient) -> None:
    """The CRI answers a moment after containerd does: it first looks at what runs."""
    deadline_s = supervisor.now_s() + READY_S
    while True:
        try:
            await client.status()
            return
        except RuntimeServiceError:
            if supervisor.now_s() > deadline_s:
                raise
            await asyncio.sleep(POLL_S)


def _grace_s(annotations: dict[str, str]) -> int:
    text = annotations.get(POD_GRACE_S, "")
    return int(text) if text.isdigit() else GRACE_S_MAX


async def _each(calls: Iterable[Awaitable[None]]) -> None:
    """Run them all, some at once; raises the first failure when all are done."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(call: Awaitable[None]) -> None:
        async with turn:
            await call

    results = await asyncio.gather(*map(one, calls), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
