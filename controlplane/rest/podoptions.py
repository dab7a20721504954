"""PodLogOptions and PodExecOptions out of a query, checked as Kubernetes checks them."""

from collections.abc import Iterator
from typing import Final

from multidict import MultiMapping

from controlplane.rest.podcontainers import choose_container, node_of
from controlplane.rest.queries import Query
from kubeapi.errors import Cause, bad_request, invalid
from kubeapi.streams.channels import StreamOptions
from kubeapi.times import TimeError, canonical_time
from kubeapi.types import core_v1, meta_v1
from pinnace_wire.node_pb2 import ExecRequest, LogsRequest

_POSITIVE: Final = "must be greater than 0"
_NOT_NEGATIVE: Final = "must be greater than or equal to 0"
_STREAM_FLAGS: Final = ("stdin", "stdout", "stderr", "tty")


def flag(query: MultiMapping[str], name: str) -> bool:
    """Only "false", "0" and absence are false (apimachinery `Convert_Slice_string_To_bool`)."""
    return name in query and query[name].lower() not in ("false", "0")


def parse_logs(query: MultiMapping[str], pod: core_v1.Pod) -> LogsRequest:
    """What to ask the node for. Raises StatusError 400 or 422; the container is not looked at."""
    name = (pod.metadata.name if pod.metadata else None) or ""
    numbers = Query(query)
    request = LogsRequest(
        tail_lines=numbers.number("tailLines"),
        limit_bytes=numbers.number("limitBytes"),
        since_seconds=numbers.number("sinceSeconds"),
        since_time=_since_time(query.get("sinceTime", "")),
        follow=flag(query, "follow"),
        previous=flag(query, "previous"),
        timestamps=flag(query, "timestamps"),
    )
    causes = list(_wrong(request))
    if "stream" in query:
        # The PodLogsQuerySplitStreams feature is off, as it is by default in Kubernetes.
        causes.append(Cause("FieldValueForbidden", "Forbidden: may not be specified", "stream"))
    if causes:
        raise invalid("PodLogOptions", name, causes)
    return request


def _since_time(text: str) -> str:
    if not text:
        return ""
    try:
        return canonical_time(text) or ""
    except TimeError as error:
        raise bad_request(str(error)) from None


def _wrong(request: LogsRequest) -> Iterator[Cause]:
    """Kubernetes' `ValidatePodLogOptions`, in its order."""
    if request.tail_lines < 0:
        yield _bad_number("tailLines", request.tail_lines, _NOT_NEGATIVE)
    if request.HasField("limit_bytes") and request.limit_bytes < 1:
        yield _bad_number("limitBytes", request.limit_bytes, _POSITIVE)
    if request.HasField("since_seconds"):
        if request.since_time:
            why = "Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"
            yield Cause("FieldValueForbidden", why, "[]")
        elif request.since_seconds < 1:
            yield _bad_number("sinceSeconds", request.since_seconds, _POSITIVE)


def _bad_number(field: str, value: int, why: str) -> Cause:
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {why}", field)


def parse_exec(query: MultiMapping[str], pod: core_v1.Pod) -> tuple[ExecRequest, StreamOptions]:
    """What to run, and the streams that the caller takes part in. Raises StatusError 400."""
    container = choose_container(pod, query.get("container", ""))
    node_of(pod)
    options = StreamOptions(**{name: flag(query, name) for name in _STREAM_FLAGS})
    command = query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least one command for the container")
    if not (options.stdin or options.stdout or options.stderr):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    request = ExecRequest(
        container=container,
        command=command,
        stdin=options.stdin,
        stdout=options.stdout,
        stderr=options.stderr and not options.tty,
        tty=options.tty,
    )
    return request, options


def address(request: LogsRequest | ExecRequest, pod: core_v1.Pod) -> str:
    """Fill in whose container it is; the node that runs it. Raises StatusError 400."""
    meta = pod.metadata or meta_v1.ObjectMeta()
    request.pod_namespace = meta.namespace or ""
    request.pod_name = meta.name or ""
    request.pod_uid = meta.uid or ""
    return node_of(pod)
