"""Informers against a client whose answers the test writes: order, relists, failures, indices."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from kubeapi.client import Listed, WatchEvent
from kubeapi.errors import StatusError, expired
from kubeapi.informer import Informer, SharedInformers, object_key, split_key
from kubeapi.types import core_v1, meta_v1

Pod = core_v1.Pod


def pod(name: str, version: int, uid: str = "", **labels: str) -> Pod:
    meta = meta_v1.ObjectMeta(
        name=name, namespace="ns", resourceVersion=str(version), uid=uid or name, labels=labels
    )
    return Pod(metadata=meta)


class ScriptedClient:
    """Lists and watches come one after the other from the script; after its end, silence.

    A list is a Listed or an error; a watch is a list of events, each of which may be an error."""

    def __init__(self, lists: Sequence[Any], watches: Sequence[Sequence[Any]] = ()) -> None:
        self._lists = list(lists)
        self._watches = list(watches)
        self.watched_from: list[str] = []

    async def list(self, kind: type[Any], namespace: str = "", **selectors: str) -> Any:
        answer = self._lists.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(
        self, kind: type[Any], namespace: str = "", *, resource_version: str, **selectors: str
    ) -> AsyncIterator[Any]:
        self.watched_from.append(resource_version)
        if not self._watches:
            await asyncio.get_running_loop().create_future()
        for event in self._watches.pop(0):
            if isinstance(event, Exception):
                raise event
            yield event


def listed(version: int, *pods: Pod) -> Listed[Pod]:
    return Listed(pods, str(version))


def added(obj: Pod) -> WatchEvent[Pod]:
    return WatchEvent("ADDED", obj)


def changed(obj: Pod) -> WatchEvent[Pod]:
    return WatchEvent("MODIFIED", obj)


def deleted(obj: Pod) -> WatchEvent[Pod]:
    return WatchEvent("DELETED", obj)


def bookmark(version: int) -> WatchEvent[Pod]:
    return WatchEvent("BOOKMARK", Pod(metadata=meta_v1.ObjectMeta(resourceVersion=str(version))))


Change = tuple[str | None, str | None]


def described(obj: Pod | None) -> str | None:
    return f"{obj.metadata.name}@{obj.metadata.resourceVersion}" if obj and obj.metadata else None


async def changes_of(
    client: ScriptedClient, then: Callable[[Informer[Pod]], None] = lambda _: None
) -> list[Change]:
    """What a handler is told while the script plays."""
    seen: list[Change] = []
    informer = Informer(client, Pod)  # type: ignore[arg-type]
    informer.add_handler(lambda old, new: seen.append((described(old), described(new))))
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(300)
    then(informer)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return seen


async def test_list_then_watch() -> None:
    client = ScriptedClient(
        [listed(5, pod("a", 1), pod("b", 2))],
        [[changed(pod("a", 6)), deleted(pod("b", 7)), added(pod("c", 8)), bookmark(20)]],
    )
    assert await changes_of(client) == [
        (None, "a@1"), (None, "b@2"), ("a@1", "a@6"), ("b@7", None), (None, "c@8"),
    ]  # fmt: skip
    assert client.watched_from == ["5", "20"]  # resumed from the bookmark, without a new list


async def test_a_history_that_is_gone_is_listed_anew_and_told_as_changes() -> None:
    client = ScriptedClient(
        [listed(5, pod("a", 1), pod("b", 2), pod("c", 3)), listed(50, pod("a", 1), pod("c", 40))],
        [[expired("too old resource version")]],
    )
    seen = await changes_of(client)
    assert seen[3:] == [("c@3", "c@40"), ("b@2", None)]
    assert client.watched_from == ["5", "50"]


async def test_deleted_and_made_again_unseen_is_two_changes() -> None:
    client = ScriptedClient(
        [listed(5, pod("a", 1, uid="first")), listed(50, pod("a", 40, uid="second"))],
        [[expired("gone")]],
    )
    assert (await changes_of(client))[1:] == [("a@1", None), (None, "a@40")]


@pytest.mark.parametrize(
    "failure", [StatusError(503, "ServiceUnavailable", "busy"), OSError("reset"), TimeoutError()]
)
async def test_failures_are_waited_out(failure: Exception) -> None:
    client = ScriptedClient(
        [failure, failure, listed(5, pod("a", 1))],
        [[changed(pod("a", 6)), failure], [changed(pod("a", 7))]],
    )
    seen = await changes_of(client)
    assert seen == [(None, "a@1"), ("a@1", "a@6"), ("a@6", "a@7")]
    assert client.watched_from == ["5", "6", "7"]


async def test_a_server_that_ends_each_watch_at_once_is_not_hammered() -> None:
    client = ScriptedClient([listed(5)], [[]] * 1000)
    await changes_of(client)
    assert len(client.watched_from) < 40  # in 300 s


async def test_a_handler_that_fails_stops_nobody() -> None:
    client = ScriptedClient([listed(5, pod("a", 1), pod("b", 2))])
    informer = Informer(client, Pod)  # type: ignore[arg-type]
    seen = []

    def broken(old: Pod | None, new: Pod | None) -> None:
        raise RuntimeError("not today")

    informer.add_handler(broken)
    informer.add_handler(lambda old, new: seen.append(described(new)))
    task = asyncio.create_task(informer.run())
    await informer.synced.wait()
    assert seen == ["a@1", "b@2"]
    late = []
    informer.add_handler(lambda old, new: late.append(described(new)))
    assert late == seen  # a late handler is told what is there
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_indices_follow_changes() -> None:
    client = ScriptedClient(
        [listed(5, pod("a", 1, app="x"), pod("b", 2, app="x"))],
        [[changed(pod("a", 6, app="y")), deleted(pod("b", 7, app="x")), added(pod("c", 8))]],
    )

    def by_app(obj: Pod) -> tuple[str, ...]:
        labels = (obj.metadata.labels if obj.metadata else None) or {}
        return tuple(labels.values())

    def check(informer: Informer[Pod]) -> None:
        informer.add_index("app", by_app)
        assert [described(o) for o in informer.by_index("app", "y")] == ["a@6"]
        assert list(informer.by_index("app", "x")) == []
        assert sorted(informer.keys()) == ["ns/a", "ns/c"]
        assert described(informer.get("ns/a")) == "a@6"
        assert len(informer) == len(informer.list()) == 2

    await changes_of(client, check)
    live = ScriptedClient(
        [listed(5, pod("a", 1, app="x"))],
        [[changed(pod("a", 6, app="y")), changed(pod("a", 7, app="y")), deleted(pod("a", 8))]],
    )
    informer = Informer(live, Pod)  # type: ignore[arg-type]
    informer.add_index("app", by_app)
    seen = []
    informer.add_handler(
        lambda old, new: seen.append(
            (len(informer.by_index("app", "x")), [*map(described, informer.by_index("app", "y"))])
        )
    )
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(10)
    assert seen == [(1, []), (0, ["a@6"]), (0, ["a@7"]), (0, [])]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_each_kind_is_watched_once() -> None:
    client = ScriptedClient([listed(5, pod("a", 1))])
    informers = SharedInformers(client)  # type: ignore[arg-type]
    assert informers.of(Pod) is informers.of(Pod)
    informers.start()
    assert informers.unsynced() == ["Pod"]
    await informers.wait_synced()
    assert informers.unsynced() == []
    assert client.watched_from in ([], ["5"])
    await informers.stop()


async def test_a_kind_asked_for_late_is_watched_at_once() -> None:
    client = ScriptedClient([listed(5, pod("a", 1))])
    informers = SharedInformers(client)  # type: ignore[arg-type]
    informers.start()
    late = informers.of(Pod)
    await late.synced.wait()
    assert len(late) == 1
    await informers.stop()


def test_keys() -> None:
    assert object_key(pod("a", 1)) == "ns/a"
    assert object_key(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n"))) == "n"
    assert split_key("ns/a") == ("ns", "a")
    assert split_key("n") == ("", "n")
