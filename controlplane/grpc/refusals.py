"""A `StatusError` as a gRPC status, with the whole Status in a trailer."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, NoReturn

import grpc

from controlplane.grpc.identity import Context
from kubeapi.errors import StatusError, internal
from kubeapi.grpc_client import STATUS_TRAILER

logger = logging.getLogger("controlplane.grpc")

_CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    409: grpc.StatusCode.ABORTED,
    410: grpc.StatusCode.OUT_OF_RANGE,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# HTTP/2 headers are no place for more; both ends allow 256 KiB (`kubeapi.grpc_client.OPTIONS`).
_TRAILER_MAX_BYTES: Final = 96 * 1024
_DETAILS_MAX_CHARACTERS: Final = 1024


def grpc_code(error: StatusError) -> grpc.StatusCode:
    if error.reason == "AlreadyExists":
        return grpc.StatusCode.ALREADY_EXISTS
    other = grpc.StatusCode.FAILED_PRECONDITION if error.code < 500 else grpc.StatusCode.INTERNAL
    return _CODES.get(error.code, other)


def status_trailer(error: StatusError) -> bytes:
    """The Status as JSON; where it is too long for a trailer, without its causes."""
    trailer = json.dumps(error.status(), separators=(",", ":")).encode()
    if len(trailer) <= _TRAILER_MAX_BYTES:
        return trailer
    short = StatusError(
        error.code,
        error.reason,
        error.message[:_DETAILS_MAX_CHARACTERS],
        name=error.name,
        group=error.group,
        kind=error.kind,
        uid=error.uid,
        retry_after_s=error.retry_after_s,
    )
    return json.dumps(short.status(), separators=(",", ":")).encode()


async def refuse(context: Context, error: StatusError) -> NoReturn:
    """End the call with `error`."""
    await context.abort(
        grpc_code(error),
        error.message[:_DETAILS_MAX_CHARACTERS],
        ((STATUS_TRAILER, status_trailer(error)),),
    )


@asynccontextmanager
async def refusing(context: Context) -> AsyncIterator[None]:
    """What goes wrong inside is told to the caller; what should not have, to the log as well."""
    try:
        yield
    except StatusError as error:
        await refuse(context, error)
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        logger.exception("a call failed")
        await refuse(context, internal(str(error)))
