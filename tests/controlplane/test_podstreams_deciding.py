"""What the pod and the query alone decide: container, log, options, in Kubernetes' words."""

import pytest
from multidict import MultiDict

from controlplane.rest.podcontainers import check_has_log, choose_container
from controlplane.rest.podoptions import flag, parse_exec, parse_logs
from kubeapi.errors import StatusError
from kubeapi.types import core_v1, meta_v1
from tests.controlplane.podstreams_rig import container_status, pod

WAITING = core_v1.ContainerStateWaiting
ENDED = core_v1.ContainerStateTerminated(containerID="containerd://old", exitCode=1)
ENDED_NAMELESS = core_v1.ContainerStateTerminated(exitCode=128)


def with_init(*names: str) -> core_v1.Pod:
    return core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="web"),
        spec=core_v1.PodSpec(
            containers=[core_v1.Container(name=name) for name in names],
            initContainers=[core_v1.Container(name="init")],
            ephemeralContainers=[core_v1.EphemeralContainer(name="debug")],
        ),
    )


@pytest.mark.parametrize(
    ("made", "asked", "chosen"),
    [
        (pod("a"), "", "a"),
        (pod("a", "b"), "b", "b"),
        (with_init("a"), "", "a"),
        (with_init("a"), "init", "init"),
        (with_init("a"), "debug", "debug"),
    ],
)
def test_the_container_that_is_meant(made: core_v1.Pod, asked: str, chosen: str) -> None:
    assert choose_container(made, asked) == chosen


def test_the_annotation_says_which_of_several() -> None:
    made = pod("a", "b")
    annotated = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(
            name="web", annotations={"kubectl.kubernetes.io/default-container": "b"}
        ),
        spec=made.spec,
    )
    assert choose_container(annotated, "") == "b"


@pytest.mark.parametrize(
    ("made", "asked", "message"),
    [
        (pod("a", "b"), "",
         "a container name must be specified for pod web, choose one of: [a b]"),
        (with_init("a", "b"), "",
         "a container name must be specified for pod web, choose one of: [a b] "
         "or one of the init containers: [init]"),
        (pod("a"), "nope", "container nope is not valid for pod web"),
    ],
)  # fmt: skip
def test_no_container_is_meant(made: core_v1.Pod, asked: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        choose_container(made, asked)
    assert (refused.value.code, refused.value.message) == (400, message)


def status(last: core_v1.ContainerStateTerminated | None = None, **state) -> core_v1.Pod:
    made = core_v1.ContainerStatus(
        name="x",
        state=core_v1.ContainerState(**state),
        lastState=core_v1.ContainerState(terminated=last) if last else None,
    )
    return pod("x", containerStatuses=[made])


RUNNING = core_v1.ContainerStateRunning()


@pytest.mark.parametrize(
    ("made", "previous"),
    [
        (status(running=RUNNING), False),
        (status(terminated=ENDED), False),
        (status(ENDED, terminated=ENDED_NAMELESS), False),
        (status(ENDED, waiting=WAITING(reason="CrashLoopBackOff")), False),
        (status(ENDED, running=RUNNING), True),
        (pod("x", containerStatuses=[], initContainerStatuses=[container_status("x")]), False),
        (pod("x", containerStatuses=[], ephemeralContainerStatuses=[container_status("x")]), False),
    ],
)
def test_there_is_a_log(made: core_v1.Pod, previous: bool) -> None:
    check_has_log(made, "x", previous=previous)


@pytest.mark.parametrize(
    ("made", "previous", "message"),
    [
        (status(waiting=WAITING(reason="ContainerCreating")), False,
         'container "x" in pod "web" is waiting to start: ContainerCreating'),
        (status(waiting=WAITING(reason="ErrImagePull")), False,
         'container "x" in pod "web" is waiting to start: image can\'t be pulled'),
        (status(waiting=WAITING(reason="ImagePullBackOff")), False,
         'container "x" in pod "web" is waiting to start: trying and failing to pull image'),
        (status(), False, 'container "x" in pod "web" is waiting to start - no logs yet'),
        (status(terminated=ENDED_NAMELESS), False, 'container "x" in pod "web" is terminated'),
        (status(ENDED_NAMELESS, waiting=WAITING(reason="CrashLoopBackOff")), False,
         'container "x" in pod "web" is terminated'),
        (status(running=RUNNING), True, 'previous terminated container "x" in pod "web" not found'),
        (pod("x", containerStatuses=[]), False, 'container "x" in pod "web" is not available'),
    ],
)  # fmt: skip
def test_there_is_no_log(made: core_v1.Pod, previous: bool, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        check_has_log(made, "x", previous=previous)
    assert (refused.value.code, refused.value.message) == (400, message)


def query(text: str) -> MultiDict[str]:
    return MultiDict(pair.split("=", 1) if "=" in pair else (pair, "") for pair in text.split("&"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("follow=true", True), ("follow", True), ("follow=x", True), ("follow=1", True),
     ("follow=false", False), ("follow=False", False), ("follow=0", False), ("other=1", False)],
)  # fmt: skip
def test_flags_are_read_as_kubernetes_reads_them(text: str, value: bool) -> None:
    assert flag(query(text), "follow") is value


def test_log_options() -> None:
    asked = parse_logs(
        query("tailLines=0&limitBytes=9&sinceSeconds=3&follow=true&previous=1&timestamps=true"),
        pod(),
    )
    assert asked.HasField("tail_lines")
    assert (asked.tail_lines, asked.limit_bytes, asked.since_seconds) == (0, 9, 3)
    assert asked.follow
    assert asked.previous
    assert asked.timestamps
    assert parse_logs(query("sinceTime=2020-01-01T02:00:00%2B02:00".replace("%2B", "+")), pod()
                      ).since_time == "2020-01-01T00:00:00Z"  # fmt: skip
    none = parse_logs(query("a=b"), pod())
    assert not any(map(none.HasField, ("tail_lines", "limit_bytes", "since_seconds")))


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("sinceSeconds=0", 422, "sinceSeconds: Invalid value: 0: must be greater than 0"),
        ("limitBytes=0", 422, "limitBytes: Invalid value: 0: must be greater than 0"),
        ("tailLines=-1", 422,
         "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("sinceTime=2020-01-01T00:00:00Z&sinceSeconds=5", 422,
         "[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
        ("stream=x", 422, "stream: Forbidden: may not be specified"),
        ("sinceTime=x", 400,
         'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'),
        ("tailLines=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)  # fmt: skip
def test_bad_log_options(text: str, code: int, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_logs(query(text), pod())
    assert refused.value.code == code
    prefix = 'PodLogOptions "web" is invalid: ' if code == 422 else ""
    assert refused.value.message == prefix + message


def test_exec_options() -> None:
    asked, options = parse_exec(
        query("command=sh&command=-c&stdin=true&stdout=true&stderr=true&tty=true"), pod()
    )
    assert list(asked.command) == ["sh", "-c"]
    assert (asked.stdin, asked.stdout, asked.stderr, asked.tty) == (True, True, False, True)
    assert options.tty
    assert asked.container == "main"


@pytest.mark.parametrize(
    ("made", "text", "message"),
    [
        (pod(node=""), "a=b", "pod web does not have a host assigned"),
        (pod(), "command=ls&container=nope", "container nope is not valid for pod web"),
        (pod(), "stdout=true", "you must specify at least one command for the container"),
        (pod(), "command=ls", "you must specify at least 1 of stdin, stdout, stderr"),
    ],
)
def test_bad_exec_options(made: core_v1.Pod, text: str, message: str) -> None:
    with pytest.raises(StatusError) as refused:
        parse_exec(query(text), made)
    assert (refused.value.code, refused.value.message) == (400, message)
