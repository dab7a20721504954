"""A watch as a response: one JSON event per line, until the time or the client is over."""

import asyncio
import random
from typing import Any, Final

import msgspec
from aiohttp import web

from base.clock import Clock
from controlplane.registry import bodies
from controlplane.registry.watchers import Seen, WatchEnded, Watcher, encode_event
from controlplane.rest import forms
from controlplane.rest.negotiation import Form
from kubeapi.resources import ResourceInfo

BOOKMARK_INTERVAL_S: Final = 60.0
SLICE_EVENTS: Final = 100
WRITE_TIMEOUT_S: Final = 60.0
"""A client that takes nothing for so long is cut off, with the events that wait for it."""
TIMEOUT_MIN_S: Final = 1800
"""Without timeoutSeconds a watch lasts 30 to 60 minutes, spread so that not all end at once."""
INITIAL_EVENTS_END: Final = "k8s.io/initial-events-end"


class WatchStream:
    """Writes a watcher's events in the form that the client takes."""

    def __init__(
        self,
        info: ResourceInfo,
        form: Form,
        include: str,
        clock: Clock,
        rng: random.Random,
        *,
        timeout_s: int,
        bookmarks: bool,
    ) -> None:
        self._info = info
        self._form = form
        self._include = include
        self._clock = clock
        self._timeout_s = timeout_s or rng.randrange(TIMEOUT_MIN_S, 2 * TIMEOUT_MIN_S)
        self._bookmarks = bookmarks
        self._columns_sent = False

    async def serve(
        self,
        request: web.BaseRequest,
        watcher: Watcher,
        revision_now: Any,
        *,
        initial_end: int | None,
    ) -> web.StreamResponse:
        """`revision_now()` is the store's revision; `initial_end`: after the events that wait
        already, say by a bookmark that the initial state, as of this revision, is complete."""
        response = web.StreamResponse(
            headers={
                "Content-Type": self._form.content_type,
                "Cache-Control": "no-cache, private",
            }
        )
        response.enable_chunked_encoding()
        try:
            await response.prepare(request)
            await self._pump(response, watcher, revision_now, initial_end)
            await response.write_eof()
        except (ConnectionError, asyncio.CancelledError):
            pass  # the client is gone; there is nobody to tell
        except TimeoutError:
            _cut_off(request)
        finally:
            watcher.close()
        return response

    async def _pump(
        self,
        response: web.StreamResponse,
        watcher: Watcher,
        revision_now: Any,
        initial_end: int | None,
    ) -> None:
        end_s = self._clock.monotonic_s() + self._timeout_s
        if initial_end is not None:
            await self._send(response, watcher.waiting())
            await _write(response, self._bookmark(initial_end, initial=True))
        while (left_s := end_s - self._clock.monotonic_s()) > 0:
            try:
                batch = await watcher.next_batch(min(left_s, BOOKMARK_INTERVAL_S))
            except WatchEnded:
                return
            if batch:
                await self._send(response, batch)
            elif self._bookmarks:
                await _write(response, self._bookmark(revision_now()))

    async def _send(self, response: web.StreamResponse, batch: list[Seen]) -> None:
        """In slices, with the loop let go between them: a watch may begin with thousands."""
        for start in range(0, len(batch), SLICE_EVENTS):
            lines = map(self._line, batch[start : start + SLICE_EVENTS])
            await _write(response, b"".join(lines))
            if start:
                await asyncio.sleep(0)

    def _line(self, seen: Seen) -> bytes:
        event_type, stored, change = seen
        if not self._form.transform and self._info.is_storage_version:
            return change.line(event_type, stored)
        if self._form.transform == "Table":
            body = forms.tabulated(
                self._info, [stored], {"resourceVersion": str(stored.revision)}, self._include,
                self._clock.now_s(), with_columns=not self._columns_sent,
            )  # fmt: skip
            self._columns_sent = True
        elif self._form.transform:
            body = msgspec.json.encode(forms.metadata_only(stored))
        else:
            body = bodies.present(self._info, stored)
        return encode_event(event_type, body)

    def _bookmark(self, revision: int, *, initial: bool = False) -> bytes:
        kind, api_version = self._info.kind, self._info.api_version
        if self._form.transform == "Table":
            kind, api_version = "Table", "meta.k8s.io/v1"
        elif self._form.transform:
            kind, api_version = "PartialObjectMetadata", "meta.k8s.io/v1"
        metadata: dict[str, Any] = {"resourceVersion": str(revision)}
        if initial:
            metadata["annotations"] = {INITIAL_EVENTS_END: "true"}
        obj: dict[str, Any] = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        if kind == "Table":
            obj |= {"columnDefinitions": [], "rows": []}
        return encode_event("BOOKMARK", msgspec.json.encode(obj))


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_TIMEOUT_S):
        await response.write(data)


def _cut_off(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
