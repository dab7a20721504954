"""Where objects lie in the store: `/registry/<group>/<resource>/[<namespace>/]<name>`."""

from typing import Final

from kubeapi.resources import ResourceInfo

ROOT: Final = b"/registry/"


def resource_prefix(info: ResourceInfo) -> bytes:
    """The prefix of all objects of a (storage) resource; the core group is written `core`."""
    return f"/registry/{info.group or 'core'}/{info.resource}/".encode()


def object_key(namespace: str, name: str) -> str:
    """The part of the key after the prefix, which is also the key within a cache."""
    return f"{namespace}/{name}" if namespace else name


def resource_of_key(key: bytes) -> tuple[bytes, str]:
    """(prefix, key within the resource) of a key of the store."""
    end = key.index(b"/", key.index(b"/", len(ROOT)) + 1) + 1
    return key[:end], key[end:].decode()
