"""How tests run: async tests on virtual time, what a machine lacks as a skip with its reason.

A test marked `realtime` runs on the ordinary loop because it talks to real parts. One marked
`needs(...)` is skipped where the machine lacks something; with PINNACE_REQUIRE=all a skip is a
failure. A task left behind fails the test either way.
"""

import asyncio
import inspect
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from base import virtualtime

REALTIME_LIMIT_S = 180

NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "root": (lambda: os.geteuid() == 0, "needs root"),
    "containerd": (
        lambda: shutil.which("containerd") is not None and shutil.which("runc") is not None,
        "needs containerd and runc",
    ),
    "busybox": (lambda: shutil.which("busybox") is not None, "needs busybox-static"),
    "kubectl": (lambda: shutil.which("kubectl") is not None, "needs kubectl on the PATH"),
    "iptables": (lambda: shutil.which("iptables-restore") is not None, "needs iptables"),
    "etcd": (lambda: shutil.which("etcd") is not None, "needs etcd-server"),
    "etcdctl": (lambda: shutil.which("etcdctl") is not None, "needs etcd-client"),
    "git": (lambda: shutil.which("git") is not None, "needs git"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the tests marked long")
    parser.addoption("--rewrite", action="store_true", help="rewrite the expectations of scripts")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        kept = [item for item in items if item.get_closest_marker("long") is None]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("needs"):
        for what in marker.args:
            present, reason = NEEDS[what]
            if not present():
                if os.environ.get("PINNACE_REQUIRE") == "all":
                    pytest.fail(f"PINNACE_REQUIRE=all: {reason}", pytrace=False)
                pytest.skip(reason)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests, each on a loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run = _run_realtime if pyfuncitem.get_closest_marker("realtime") else virtualtime.run
    run(pyfuncitem.obj(**arguments))
    return True


def _run_realtime(main: Any) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(REALTIME_LIMIT_S):
            await main
        virtualtime.refuse_leftover_tasks(asyncio.get_running_loop(), asyncio.current_task())

    asyncio.run(bounded())


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    """Whether script tests write what they saw in place of what they expected."""
    return bool(request.config.getoption("--rewrite"))
