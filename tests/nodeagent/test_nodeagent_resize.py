"""In-place resize: when a container's limits are updated, and when it is restarted."""

from typing import Any

import pytest
from podmaker import container, make_pod

from nodeagent.pods.identity import container_annotations
from nodeagent.pods.resize import Resize, given, plan
from nodeagent.pods.spec import containers

RESTART_ON_MEMORY = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]


def sized(cpu: str, memory: str, **fields: Any) -> dict[str, Any]:
    return container(resources={"limits": {"cpu": cpu, "memory": memory}}, **fields)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (sized("1", "64Mi"), Resize.NONE),
        (sized("1000m", "65536Ki"), Resize.NONE),
        (sized("2", "64Mi"), Resize.UPDATE),
        (sized("1", "128Mi"), Resize.UPDATE),
        (sized("2", "64Mi", resizePolicy=RESTART_ON_MEMORY), Resize.UPDATE),
        (sized("1", "128Mi", resizePolicy=RESTART_ON_MEMORY), Resize.RESTART),
    ],
)
def test_what_a_change_needs(after: dict[str, Any], expected: Resize) -> None:
    before = make_pod(sized("1", "64Mi"))
    noted = container_annotations(before, containers(before)[0], 0)
    assert plan(containers(make_pod(after))[0], given(noted)) is expected


def test_a_container_of_an_older_agent_is_left_alone() -> None:
    assert plan(containers(make_pod(sized("1", "1Mi")))[0], given({})) is Resize.NONE
