"""Several clients at once, over the registry: names, addresses, ends of objects."""

import asyncio
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from controlplane.auth.user import User
from controlplane.registry import bodies, lifecycle, watchers
from controlplane.registry.api import encode_continue
from controlplane.registry.options import ListOptions
from controlplane.registry.service_addresses import NODE_PORT_KEY
from controlplane.store.protocol import prefix_end
from kubeapi.errors import StatusError
from tests.controlplane.inprocess import InProcess, running_api

LONG_AGO = "2020-01-01T00:00:00Z"


def service(name: str, **spec: Any) -> dict[str, Any]:
    spec = {"ports": [{"port": 80}], "type": "NodePort"} | spec
    return {"metadata": {"name": name}, "spec": spec}


class Stubborn(random.Random):
    """Answers every question in the first `same` of them alike: whoever asks at once collides."""

    def __init__(self, same: int) -> None:
        super().__init__(1)
        self._same = same

    def choice(self, seq: Any) -> Any:
        self._same -= 1
        return seq[0] if self._same >= 0 else super().choice(seq)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self._same -= 1
        return start if self._same >= 0 else super().randrange(start, stop, step)

    def choices(self, population: Any, *args: Any, **named: Any) -> Any:
        self._same -= 1
        alike = [population[0]] * named["k"]
        return alike if self._same >= 0 else super().choices(population, *args, **named)


def swap_chance(api: InProcess, rng: random.Random) -> None:
    object.__setattr__(api.api.backing, "rng", rng)
    api.api.backing.addresses._rng = rng


async def ports_held(api: InProcess) -> list[bytes]:
    prefix = NODE_PORT_KEY.encode()
    found = await api.api.registry.store.range(prefix, prefix_end(prefix))
    return [kv.key for kv in found.kvs]


async def test_fifty_services_at_once_share_no_address(tmp_path: Path) -> None:
    """Everybody first chooses the same; who is too late chooses anew and is not refused."""
    async with running_api(tmp_path) as api:
        swap_chance(api, Stubborn(200))
        made = await asyncio.gather(
            *[api.create("v1/services", service(f"s{n}")) for n in range(50)]
        )
        assert len({s["spec"]["clusterIP"] for s in made}) == 50
        assert len({s["spec"]["ports"][0]["nodePort"] for s in made}) == 50
        addresses = await api.list("networking.k8s.io/v1/ipaddresses")
        assert len(addresses) == len(await ports_held(api)) == 50
        for n in range(50):
            await api.delete("v1/services", f"s{n}")
        assert await api.list("networking.k8s.io/v1/ipaddresses") == []
        assert await ports_held(api) == []


async def test_a_service_that_is_refused_holds_nothing(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        await api.create("v1/services", service("one"))
        held = await api.list("networking.k8s.io/v1/ipaddresses"), await ports_held(api)
        with pytest.raises(StatusError) as taken:
            await api.create("v1/services", service("one"))
        assert taken.value.reason == "AlreadyExists"
        port = int(held[1][0].rpartition(b"/")[2])
        with pytest.raises(StatusError) as refused:
            await api.create("v1/services", service("two", ports=[{"port": 1, "nodePort": port}]))
        assert refused.value.causes[0].field == "spec.ports[0].nodePort"
        call = api.call("create", "v1/services")
        call.dry_run = True
        body = b'{"metadata":{"name":"dry"},"spec":{"type":"NodePort","ports":[{"port":1}]}}'
        await api.api.create(call, bodies.decode_object(call, body))
        assert held == (await api.list("networking.k8s.io/v1/ipaddresses"), await ports_held(api))


async def test_a_generated_name_that_is_taken_is_generated_anew(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        swap_chance(api, Stubborn(6))
        made = await asyncio.gather(
            *[api.create("v1/configmaps", {"metadata": {"generateName": "x-"}}) for _ in range(6)]
        )
        assert len({m["metadata"]["name"] for m in made}) == 6
        swap_chance(api, Stubborn(1000))
        with pytest.raises(StatusError) as given_up:
            await api.create("v1/configmaps", {"metadata": {"generateName": "x-"}})
        assert (given_up.value.code, given_up.value.reason) == (409, "AlreadyExists")


async def test_an_object_that_goes_takes_no_new_finalizers(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        kept = {"name": "a", "finalizers": ["x.io/a"]}
        await api.create("v1/configmaps", {"metadata": kept})
        with pytest.raises(StatusError) as refused:
            await api.patch("v1/configmaps", "a", {"metadata": {"deletionTimestamp": LONG_AGO}})
        assert refused.value.causes[0].field == "metadata.deletionTimestamp"
        await api.delete("v1/configmaps", "a")
        with pytest.raises(StatusError) as refused:
            await api.patch(
                "v1/configmaps", "a", {"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}
            )
        assert refused.value.causes[0].field == "metadata.finalizers"
        with pytest.raises(StatusError):
            await api.create("v1/configmaps", {"metadata": {"name": "a"}})
        await api.patch("v1/configmaps", "a", {"metadata": {"finalizers": None}})
        assert (await api.create("v1/configmaps", {"metadata": {"name": "a"}}))["metadata"][
            "name"
        ] == "a"


async def test_patches_of_scale_at_once_all_count(tmp_path: Path) -> None:
    """A patch names no version: when another write comes first, it is made anew."""
    async with running_api(tmp_path) as api:
        template = {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": "i:1"}]},
        }
        spec = {"selector": {"matchLabels": {"app": "a"}}, "template": template}
        await api.create("apps/v1/deployments", {"metadata": {"name": "d"}, "spec": spec})
        replicas = [{"spec": {"replicas": n}} for n in range(5)]
        await asyncio.gather(
            *[api.patch("apps/v1/deployments", "d", r, subresource="scale") for r in replicas]
        )
        assert (await api.get("apps/v1/deployments", "d"))["metadata"]["generation"] >= 4


async def test_a_watch_may_begin_with_more_than_it_may_lag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_api(tmp_path) as api:
        monkeypatch.setattr(watchers, "QUEUE_EVENTS_MAX", 5)
        for n in range(20):
            await api.create("v1/configmaps", {"metadata": {"name": f"c{n}"}})
        watcher = api.api.watch(api.call("watch", "v1/configmaps"), ListOptions())
        await api.create("v1/configmaps", {"metadata": {"name": "late"}})
        names = [stored.obj.metadata.name for _, stored, _ in await watcher.next_batch()]
        assert (len(names), names[-1]) == (21, "late")
        for n in range(7):
            await api.create("v1/configmaps", {"metadata": {"name": f"d{n}"}})
        assert watcher.overflowed
        watcher.close()


async def test_a_continue_token_of_no_revision_of_ours_is_refused(tmp_path: Path) -> None:
    async with running_api(tmp_path) as api:
        for revision in (-1, 0, 10**9, 10**300):
            with pytest.raises(StatusError) as refused:
                await api.list(
                    "v1/configmaps", continue_token=encode_continue(revision, "a"), limit=1
                )
            assert refused.value.code == 400


async def test_a_role_that_is_not_there_yet_is_bound_by_nobody_who_may_not(tmp_path: Path) -> None:
    """It might grant anything, once somebody creates it."""
    async with running_api(tmp_path) as api:
        rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"]}]
        await api.create(
            "rbac.authorization.k8s.io/v1/roles",
            {"metadata": {"name": "binder"}, "rules": [rules[0] | {"verbs": ["create"]}]},
        )
        group = "rbac.authorization.k8s.io"
        subjects = [{"kind": "User", "name": "eve", "apiGroup": group}]

        def binding(name: str, role: str) -> dict[str, Any]:
            ref = {"kind": "Role", "name": role, "apiGroup": group}
            return {"metadata": {"name": name}, "roleRef": ref, "subjects": subjects}

        await api.create("rbac.authorization.k8s.io/v1/rolebindings", binding("one", "binder"))
        call = api.call("create", "rbac.authorization.k8s.io/v1/rolebindings")
        call.user = User("eve", ("system:authenticated",))
        body = msgspec.json.encode(binding("two", "absent"))
        with pytest.raises(StatusError) as refused:
            await api.api.create(call, bodies.decode_object(call, body))
        assert (refused.value.code, refused.value.name) == (404, "absent")


def test_names_are_long_enough_for_their_suffix() -> None:
    assert lifecycle.GENERATED_BASE_MAX + lifecycle.GENERATED_SUFFIX == 63
