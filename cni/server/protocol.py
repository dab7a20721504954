"""What a request asks for and how an answer reads: pure, by the CNI specification 1.1.

Sections "Parameters", "Error", "Success" and "Version considerations" of SPEC.md.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

# 0.3.1 is what containerd before 2.0 writes into its built-in loopback configuration.
SUPPORTED_VERSIONS = ("0.3.1", "0.4.0", "1.0.0", "1.1.0")
NO_VERSION = "0.1.0"  # what a configuration without cniVersion means
# The first version that has the command.
COMMAND_SINCE = {
    "ADD": "0.3.1",
    "DEL": "0.3.1",
    "VERSION": "0.3.1",
    "CHECK": "0.4.0",
    "STATUS": "1.1.0",
    "GC": "1.1.0",
}
NEEDED_ENVIRONMENT = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
}
KNOWN_KEYS = frozenset(
    ("cniVersion", "cniVersions", "name", "type", "args", "capabilities", "prevResult")
)


class ErrorCode(IntEnum):
    """Well-known codes, and from 100 on our own."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_CONFIG = 7
    TRY_AGAIN_LATER = 11
    NOT_AVAILABLE = 50
    NETWORK_FAILURE = 100
    NO_FREE_ADDRESS = 101
    CHECK_FAILED = 102
    INTERNAL = 103


class CniError(Exception):
    """A refusal or failure that the container runtime shall see."""

    def __init__(self, code: ErrorCode, message: str, details: str = "") -> None:
        super().__init__(f"{message}: {details}" if details else message)
        self.code = code
        self.message = message
        self.details = details


@dataclass(frozen=True)
class Attachment:
    """One interface of one container: what addresses and links belong to."""

    container_id: str
    ifname: str


@dataclass(frozen=True)
class Request:
    command: str
    version: str
    plugin: str  # the configuration's `type`: "pinnace" or "loopback"
    attachment: Attachment
    netns: str = ""
    previous: dict[str, Any] | None = None
    # GC only: the attachments that are to stay.
    valid: frozenset[Attachment] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Interface:
    name: str
    mac: str
    mtu: int = 0
    sandbox: str = ""


@dataclass(frozen=True)
class Wiring:
    """What ADD made: the bridge, the veth's two ends and the address."""

    bridge: Interface
    host: Interface
    container: Interface
    address: str  # with prefix length
    gateway: str


def parse(data: bytes) -> Request:
    """The request in the shim's bytes (`cni.plugin` describes them). Raises CniError."""
    head, found, config_bytes = data.partition(b"\0\0")
    if not found:
        raise CniError(ErrorCode.INVALID_ENVIRONMENT, "no CNI_* variable is set: CNI_COMMAND")
    pairs = (entry.partition(b"=") for entry in head.split(b"\0"))
    environ = {k.decode(errors="replace"): v.decode(errors="replace") for k, _, v in pairs}
    command = environ.get("CNI_COMMAND", "")
    if command not in COMMAND_SINCE:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT, f"CNI_COMMAND: {command!r} is not a CNI command"
        )
    config = _decode(config_bytes, empty_ok=command == "VERSION")
    version = config.get("cniVersion") or NO_VERSION
    if command == "VERSION":
        return Request(command, str(version), "", Attachment("", ""))
    _check_version(command, version)
    _check_environment(command, environ)
    _check_config(config)
    return Request(
        command=command,
        version=version,
        plugin=config["type"],
        attachment=Attachment(environ.get("CNI_CONTAINERID", ""), environ.get("CNI_IFNAME", "")),
        netns=environ.get("CNI_NETNS", ""),
        previous=config.get("prevResult"),
        valid=_valid_attachments(config) if command == "GC" else frozenset(),
    )


def _decode(data: bytes, *, empty_ok: bool) -> dict[str, Any]:
    if empty_ok and not data.strip():
        return {}
    try:
        config = json.loads(data)
    except ValueError as error:
        raise CniError(
            ErrorCode.DECODING_FAILURE, "the network configuration is not JSON", str(error)
        ) from None
    if not isinstance(config, dict):
        raise CniError(ErrorCode.DECODING_FAILURE, "the network configuration is not an object")
    return config


def _check_version(command: str, version: object) -> None:
    if version not in SUPPORTED_VERSIONS:
        supported = ", ".join(SUPPORTED_VERSIONS)
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION,
            f"cniVersion {version!r} is not supported",
            f"supported are {supported}",
        )
    since = COMMAND_SINCE[command]
    if SUPPORTED_VERSIONS.index(str(version)) < SUPPORTED_VERSIONS.index(since):
        raise CniError(
            ErrorCode.INCOMPATIBLE_VERSION, f"{command} came with {since}, cniVersion is {version}"
        )


# Containers: SPEC "Parameters"; interfaces: the kernel's dev_valid_name().
_CONTAINER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*\Z")
_INTERFACE = re.compile(r"[^\s/:]{1,15}\Z")
_ENVIRONMENT_CHECKS: dict[str, Callable[[str], object]] = {
    "CNI_CONTAINERID": _CONTAINER_ID.match,
    "CNI_IFNAME": lambda name: _INTERFACE.match(name) and name not in (".", ".."),
    "CNI_NETNS": lambda path: path.startswith("/"),
}


def _check_environment(command: str, environ: dict[str, str]) -> None:
    wrong = [
        name
        for name in NEEDED_ENVIRONMENT.get(command, ())
        if not _ENVIRONMENT_CHECKS[name](environ.get(name, ""))
    ]
    if wrong:
        said = ", ".join(f"{name}={environ.get(name, '')!r}" for name in wrong)
        raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"missing or invalid: {said}")


def _check_config(config: dict[str, Any]) -> None:
    if not isinstance(config.get("name"), str) or not config["name"]:
        raise CniError(ErrorCode.INVALID_CONFIG, "the network configuration has no name")
    if config.get("type") not in ("pinnace", "loopback"):
        raise CniError(
            ErrorCode.INVALID_CONFIG, f"type {config.get('type')!r} is not a plugin of Pinnace"
        )
    previous = config.get("prevResult")
    if previous is not None and not isinstance(previous, dict):
        raise CniError(ErrorCode.INVALID_CONFIG, "prevResult is not an object")
    for key, value in config.items():
        # An empty value is how Go writes a field that is not set.
        if key not in KNOWN_KEYS and not key.startswith("cni.dev/") and value not in (None, {}, ""):
            raise CniError(
                ErrorCode.UNSUPPORTED_FIELD, f"unsupported field {key} = {json.dumps(value)}"
            )


def _valid_attachments(config: dict[str, Any]) -> frozenset[Attachment]:
    """libcni before 1.2.3 wrote the key without `valid-`, as the specification once had it."""
    listed = config.get("cni.dev/valid-attachments", config.get("cni.dev/attachments"))
    if not isinstance(listed, list):
        raise CniError(ErrorCode.INVALID_CONFIG, "GC needs the list cni.dev/valid-attachments")
    try:
        return frozenset(Attachment(entry["containerID"], entry["ifname"]) for entry in listed)
    except (TypeError, KeyError):
        raise CniError(
            ErrorCode.INVALID_CONFIG, "cni.dev/valid-attachments: containerID and ifname needed"
        ) from None


def version_answer(request: Request) -> dict[str, Any]:
    return {"cniVersion": request.version, "supportedVersions": list(SUPPORTED_VERSIONS)}


def error_answer(error: CniError, version: str) -> dict[str, Any]:
    answer = {"cniVersion": version, "code": int(error.code), "msg": error.message}
    return answer | ({"details": error.details} if error.details else {})


def add_answer(version: str, wiring: Wiring) -> dict[str, Any]:
    """The Success result; before 1.0 an address also said its IP version."""
    interfaces = [wiring.bridge, wiring.host, wiring.container]
    address: dict[str, Any] = {
        "address": wiring.address,
        "gateway": wiring.gateway,
        "interface": 2,
    }
    if version.startswith("0."):
        address["version"] = "4"
    return {
        "cniVersion": version,
        "interfaces": [_interface(interface, version) for interface in interfaces],
        "ips": [address],
        "routes": [{"dst": "0.0.0.0/0", "gw": wiring.gateway}],
        "dns": {},
    }


def loopback_answer(version: str, netns: str) -> dict[str, Any]:
    address: dict[str, Any] = {"address": "127.0.0.1/8", "interface": 0}
    if version.startswith("0."):
        address["version"] = "4"
    lo = Interface("lo", "00:00:00:00:00:00", sandbox=netns)
    return {
        "cniVersion": version,
        "interfaces": [_interface(lo, version)],
        "ips": [address],
        "dns": {},
    }


def _interface(interface: Interface, version: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"name": interface.name, "mac": interface.mac}
    if version == "1.1.0" and interface.mtu:
        answer["mtu"] = interface.mtu
    if interface.sandbox:
        answer["sandbox"] = interface.sandbox
    return answer


def encode_answer(status: int, body: dict[str, Any] | None) -> bytes:
    """The answer on the wire, as `cni.plugin` reads it. DEL, CHECK, STATUS and GC print nothing."""
    text = b"" if body is None else json.dumps(body).encode() + b"\n"
    return b"%d %d\n" % (status, len(text)) + text
