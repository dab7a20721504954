"""A real etcd spoken to in raftstore's own requests, over its JSON gateway (`/v3/...`).

Answers come back as plain values, which `plain` makes of raftstore's own results as well.
"""

import base64
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from raftstore.mvcc import (
    Compact,
    Compare,
    CompareTarget,
    DeleteRange,
    DeleteRangeResult,
    KeyValue,
    LeaseGrant,
    LeaseRevoke,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)

Json = dict[str, object]


class Refused(Exception):
    """etcd's own error text."""


class Etcd:
    def __init__(self, directory: Path) -> None:
        client, peer = _free_port(), _free_port()
        self.address = f"127.0.0.1:{client}"
        self._base = f"http://{self.address}/v3/"
        peer_url, client_url = f"http://127.0.0.1:{peer}", f"http://127.0.0.1:{client}"
        flags = {
            "--data-dir": str(directory),
            "--listen-client-urls": client_url,
            "--advertise-client-urls": client_url,
            "--listen-peer-urls": peer_url,
            "--initial-advertise-peer-urls": peer_url,
            "--initial-cluster": f"default={peer_url}",
        }
        command = ["etcd", *(f"{name}={value}" for name, value in flags.items())]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def ask(self, request: object) -> tuple[object, int]:
        """What etcd answers, in the terms of `plain`, and its revision. Raises Refused."""
        path, body = _CALLS[type(request)](request)
        answer = self._post(path, body)
        return _plain_answer(path, answer), int(answer["header"]["revision"])

    def _post(self, path: str, body: Json):
        data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(self._base + path, data, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(json.load(error)["error"]) from None

    def _wait(self) -> None:
        for _ in range(100):
            try:
                self._post("kv/range", {"key": _text(b"a")})
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError("etcd does not answer")


def plain(result: object) -> object:
    """One of raftstore's results, in the same plain values."""
    if isinstance(result, PutResult):
        return result.prev_kv
    if isinstance(result, DeleteRangeResult):
        return result.deleted, result.prev_kvs
    if isinstance(result, RangeResult):
        return result.kvs, result.count, result.more
    if isinstance(result, TxnResult):
        return result.succeeded, [plain(part) for part in result.results]
    return None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _range(request: Range) -> Json:
    names = ("limit", "revision", "keys_only", "count_only")
    bounds = ("min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision")
    return {
        **_keys(request),
        **{name: getattr(request, name) for name in (*names, *bounds)},
        "sort_order": request.sort_order.name,
        "sort_target": request.sort_target.name,
    }


def _put(request: Put) -> Json:
    flags = ("lease", "prev_kv", "ignore_value", "ignore_lease")
    body: Json = {name: getattr(request, name) for name in flags}
    return {"key": _text(request.key), "value": _text(request.value), **body}


def _delete(request: DeleteRange) -> Json:
    return {**_keys(request), "prev_kv": request.prev_kv}


def _keys(request: Range | DeleteRange | Compare) -> Json:
    return {"key": _text(request.key), "range_end": _text(request.range_end)}


_COMPARED = {
    CompareTarget.VERSION: "version",
    CompareTarget.CREATE: "create_revision",
    CompareTarget.MOD: "mod_revision",
    CompareTarget.VALUE: "value",
    CompareTarget.LEASE: "lease",
}


def _compare(compare: Compare) -> Json:
    value = _text(compare.value) if isinstance(compare.value, bytes) else compare.value
    return {
        **_keys(compare),
        "result": compare.operator.name,
        "target": compare.target.name,
        _COMPARED[compare.target]: value,
    }


def _txn(txn: Txn) -> Json:
    return {
        "compare": [_compare(compare) for compare in txn.compare],
        "success": [_operation(operation) for operation in txn.success],
        "failure": [_operation(operation) for operation in txn.failure],
    }


def _operation(operation: object) -> Json:
    path, body = _CALLS[type(operation)](operation)
    return {_OPERATIONS[path]: body}


_CALLS = {
    Range: lambda request: ("kv/range", _range(request)),
    Put: lambda request: ("kv/put", _put(request)),
    DeleteRange: lambda request: ("kv/deleterange", _delete(request)),
    Compact: lambda request: ("kv/compaction", {"revision": request.revision}),
    LeaseGrant: lambda r: ("lease/grant", {"ID": r.lease_id, "TTL": r.ttl_s}),
    LeaseRevoke: lambda request: ("lease/revoke", {"ID": request.lease_id}),
    Txn: lambda request: ("kv/txn", _txn(request)),
}

_OPERATIONS = {
    "kv/range": "request_range",
    "kv/put": "request_put",
    "kv/deleterange": "request_delete_range",
    "kv/txn": "request_txn",
}
_PATHS = {name.replace("request", "response"): path for path, name in _OPERATIONS.items()}


def _plain_answer(path: str, answer) -> object:
    if path == "kv/put":
        return _key_value(answer["prev_kv"]) if "prev_kv" in answer else None
    if path == "kv/deleterange":
        return int(answer.get("deleted", 0)), [_key_value(k) for k in answer.get("prev_kvs", ())]
    if path == "kv/range":
        kvs = [_key_value(kv) for kv in answer.get("kvs", ())]
        return kvs, int(answer.get("count", 0)), answer.get("more", False)
    if path == "kv/txn":
        parts = [part for one in answer.get("responses", ()) for part in one.items()]
        return (
            answer.get("succeeded", False),
            [_plain_answer(_PATHS[name], part) for name, part in parts],
        )
    return None


def _key_value(kv) -> KeyValue:
    numbers = ("create_revision", "mod_revision", "version", "lease")
    value = base64.b64decode(kv.get("value", ""))
    return KeyValue(base64.b64decode(kv["key"]), value, *(int(kv.get(n, 0)) for n in numbers))
