"""A few requests to the API server: what `up`, `status` and `demo` ask it. Blocking, one
connection, standard library only: these commands have nothing else to do meanwhile."""

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any

from base import tls
from cluster.options import Options
from cluster.paths import Layout

REQUEST_S = 10.0
MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The API server refused; `code` is the HTTP status and the text its Status' message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Api:
    """The API server on this machine, as its administrator.

    Raises OSError or http.client.HTTPException where it cannot be reached.
    """

    def __init__(self, layout: Layout, options: Options) -> None:
        pki = layout.pki
        self._context = tls.client_context(pki / "ca.crt", pki / "admin.crt", pki / "admin.key")
        self._port = options.secure_port
        self._connection: http.client.HTTPSConnection | None = None

    def get(self, path: str) -> dict[str, Any]:
        return self._json("GET", path)

    def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("POST", path, body)

    def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return self._json("PATCH", path, body, MERGE_PATCH)

    def text(self, path: str) -> str:
        """The body of a page that is no JSON, like /readyz."""
        return self._request("GET", path, None, "").decode()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._request(method, path, body, content_type))
        return answer

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None, content_type: str
    ) -> bytes:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                "127.0.0.1", self._port, timeout=REQUEST_S, context=self._context
            )
        headers = {"Accept": "application/json", "User-Agent": "pinnace"}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            data = json.dumps(body) if body is not None else None
            self._connection.request(method, path, data, headers)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException, ssl.SSLError):
            # The next request starts with a new connection.
            self.close()
            raise
        if response.status >= 400:
            raise ApiError(response.status, _message(content))
        return content


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace").strip()[:200]
