"""URLs at which members listen and are found, with etcd's rules and complaints
(etcd `client/pkg/types`)."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

InitialCluster = Mapping[str, tuple[str, ...]]
"""Peer URLs by member name."""


@dataclass(frozen=True)
class Address:
    """`host` without brackets."""

    scheme: str
    host: str
    port: int

    @property
    def is_tls(self) -> bool:
        return self.scheme == "https"

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def target(self) -> str:
        """As grpc and sockets write it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def can_be_bound(self) -> bool:
        """etcd `checkBindURLs`: a name may mean another machine."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == "localhost"
        return True


def address_of(url: str) -> Address:
    """Raises ValueError."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"URL scheme must be http or https: {url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.username is not None:
        raise ValueError(f'URL address does not have the form "host:port": {url}')
    if parts.path or parts.query or parts.fragment:
        raise ValueError(f"URL must not contain a path: {url}")
    return Address(parts.scheme, parts.hostname, port)


def parse_urls(text: str) -> tuple[str, ...]:
    """A comma-separated list, sorted as etcd sorts it. Raises ValueError."""
    urls = [url.strip() for url in text.split(",") if url.strip()]
    if not urls:
        raise ValueError("no valid URLs given")
    for url in urls:
        address_of(url)
    return tuple(sorted(urls))


def parse_url_list(text: str) -> tuple[str, ...]:
    """As `parse_urls`, and an empty text is an empty list."""
    return parse_urls(text) if text.strip() else ()


def parse_initial_cluster(text: str) -> dict[str, tuple[str, ...]]:
    """`name=url,name=url`; a name may come again with a further URL. Raises ValueError."""
    found: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = part.partition("=")
        if not equals or not name:
            raise ValueError(f"{part}: expected name=URL")
        if not url:
            raise ValueError(f'empty URL given for "{name}"')
        address_of(url)
        found.setdefault(name, []).append(url)
    every = [url for urls in found.values() for url in urls]
    if len(set(every)) != len(every):
        raise ValueError(f"initial cluster {text} has duplicate url")
    return {name: tuple(sorted(urls)) for name, urls in found.items()}


def write_initial_cluster(cluster: InitialCluster) -> str:
    return ",".join(f"{name}={url}" for name, urls in sorted(cluster.items()) for url in urls)


def not_loopback(urls: Sequence[str]) -> list[str]:
    """Those that other machines can reach, or are meant to."""
    return [url for url in urls if not address_of(url).is_loopback]


def plain_in_public(urls: Sequence[str]) -> list[str]:
    """Those at which anybody on the network could read along and write."""
    return [url for url in not_loopback(urls) if not address_of(url).is_tls]
