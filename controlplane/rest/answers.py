"""Answers on the wire: bodies, errors, compression."""

import asyncio
import gzip
from typing import Any, Final

import msgspec
import yaml
from aiohttp import web

from controlplane.rest.negotiation import Form
from kubeapi.errors import StatusError

GZIP_FROM_BYTES: Final = 128 * 1024
YAML_INLINE_BYTES: Final = 16 * 1024
WARNINGS_MAX: Final = 64  # Python's http.client takes no answer with more than 100 headers
WARNINGS_CHARS_MAX: Final = 4096
WARNING_CHARS_MAX: Final = 256
_HEADERS: Final = {"Cache-Control": "no-cache, private", "X-Content-Type-Options": "nosniff"}


def quoted_warnings(warnings: list[str]) -> list[tuple[str, str]]:
    """RFC 7234 warn-code 299, as kubectl prints them.

    A client may cause any number of them, of any length: where they are too long, each is cut,
    and the last ones are left out (apiserver `endpoints/filters/warning.go`).
    """
    if sum(map(len, warnings)) > WARNINGS_CHARS_MAX:
        warnings = [text[:WARNING_CHARS_MAX] for text in warnings]
    headers = []
    chars_left = WARNINGS_CHARS_MAX
    for text in warnings[:WARNINGS_MAX]:
        chars_left -= len(text)
        if chars_left < 0:
            break
        headers.append(("Warning", f'299 - "{_quotable(text)}"'))
    return headers


def _quotable(text: str) -> str:
    """`text` inside a quoted-string; a line break would end the header."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isprintable() else f"\\\\u{ord(c):04x}" for c in escaped)


async def respond(
    request: web.BaseRequest,
    body: bytes,
    *,
    status: int = 200,
    form: Form | None = None,
    content_type: str = "application/json",
    headers: list[tuple[str, str]] | None = None,
) -> web.Response:
    """An answer of JSON bytes, turned into YAML or compressed where the client asks."""
    if form is not None and form.yaml:
        content_type = form.content_type
        # A megabyte of YAML is a second of work.
        large = len(body) > YAML_INLINE_BYTES
        body = await asyncio.to_thread(_to_yaml, body) if large else _to_yaml(body)
    response = web.Response(body=body, status=status, content_type=content_type)
    response.headers.update(_HEADERS)
    for name, value in headers or ():
        response.headers.add(name, value)
    if len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        # Compressing megabytes would hold the loop for tens of milliseconds.
        response.body = await asyncio.to_thread(gzip.compress, body, 1)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
    return response


def _to_yaml(body: bytes) -> bytes:
    return yaml.dump(msgspec.json.decode(body), Dumper=yaml.CSafeDumper).encode()


def refusal(error: StatusError) -> web.Response:
    """The `Status` that tells what went wrong."""
    response = web.Response(
        body=encode(error.status()), status=error.code, content_type="application/json"
    )
    response.headers.update(_HEADERS)
    if error.retry_after_s:
        response.headers["Retry-After"] = str(error.retry_after_s)
    response.headers.update(error.headers)
    return response


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"
