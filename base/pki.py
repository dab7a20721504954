"""The files of the cluster's CA and of the certificates it signs: made, checked, renewed.

`pki/ca.crt` and `ca.key`, and per certificate `<name>.crt` and `<name>.key`. What is there and
still right is left alone, so the control plane and `pinnace up` may both ask for the same ones.
"""

import fcntl
import ipaddress
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from base import tls

CA_NAME = "pinnace"
# A leaf lasts a year; one that is asked for in its last quarter is renewed.
RENEW_BEFORE = timedelta(days=tls.LEAF_DAYS // 4)
# Names under which pods and people reach the API server, beside the machine's own.
API_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Wanted:
    """A certificate that should be there: for user `common_name` and, with `hosts`, a server."""

    name: str
    common_name: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


def api_hosts(addresses: Sequence[str], service_ip: str = "10.96.0.1") -> tuple[str, ...]:
    """The hosts of the API server's certificate; `addresses`: the machine's name and addresses."""
    return tuple(dict.fromkeys([*API_NAMES, LOOPBACK, service_ip, *addresses]))


def server_and_admin(hosts: Sequence[str]) -> tuple[Wanted, ...]:
    """What the control plane needs before it can serve, and its first user."""
    return (
        Wanted("apiserver", "kube-apiserver", hosts=tuple(hosts)),
        Wanted("admin", "kubernetes-admin", groups=("system:masters",)),
    )


def node_and_proxy(node_name: str, addresses: Sequence[str]) -> tuple[Wanted, ...]:
    """What a machine's agent and proxy show to the control plane."""
    return (
        Wanted("node", f"system:node:{node_name}", ("system:nodes",), tuple(addresses)),
        Wanted("proxy", "system:kube-proxy"),
    )


def ensure_pki(pki_dir: Path, wanted: Sequence[Wanted], now_s: float) -> dict[str, str]:
    """Make what is missing or no longer right; returns name -> why for each that was (re)made.

    Raises ValueError where the CA itself cannot be used: it is never replaced, for that would
    lock every client out.
    """
    with _locked(pki_dir):
        ca = _ensure_ca(pki_dir, now_s)
        made = {}
        for want in wanted:
            cert, key = pki_dir / f"{want.name}.crt", pki_dir / f"{want.name}.key"
            why = why_renew(_read(cert, key), want, ca, now_s)
            if why:
                issued = tls.issue(
                    ca, want.common_name, now_s, groups=want.groups, hosts=want.hosts
                )
                issued.write(cert, key)
                made[want.name] = why
        return made


def why_renew(pair: tls.KeyPair | None, want: Wanted, ca: tls.KeyPair, now_s: float) -> str:
    """What is wrong with the certificate at hand; empty: nothing."""
    if pair is None:
        return "missing"
    try:
        cert = x509.load_pem_x509_certificate(pair.cert_pem)
        key = load_pem_private_key(pair.key_pem, None)
    except ValueError:
        return "unreadable"
    if key.public_key() != cert.public_key():
        return "its key is another's"
    try:
        cert.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.cert_pem))
    except (ValueError, TypeError, InvalidSignature):
        return "signed by another CA"
    if tls.identity(cert) != (want.common_name, want.groups):
        return "for another user"
    now = datetime.fromtimestamp(now_s, UTC)
    if cert.not_valid_after_utc - now < RENEW_BEFORE:
        return f"expires {cert.not_valid_after_utc:%Y-%m-%d}"
    if cert.not_valid_before_utc > now:
        return f"valid only from {cert.not_valid_before_utc:%Y-%m-%d}"
    # More hosts than asked for are no reason: `up` knows addresses that the control plane alone
    # does not, and the two must not renew each other's work in turns.
    lacking = [host for host in want.hosts if _canonical(host) not in _hosts(cert)]
    return f"lacks {', '.join(lacking)}" if lacking else ""


def _hosts(cert: x509.Certificate) -> set[str]:
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def _canonical(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host


def _ensure_ca(pki_dir: Path, now_s: float) -> tls.KeyPair:
    cert, key = pki_dir / "ca.crt", pki_dir / "ca.key"
    ca = _read(cert, key)
    if ca is None:
        if cert.exists():
            raise ValueError(f"{cert} is there without its key {key}: restore the key")
        tls.make_ca(CA_NAME, now_s).write(cert, key)
        return tls.KeyPair.read(cert, key)
    try:
        expires = x509.load_pem_x509_certificate(ca.cert_pem).not_valid_after_utc
        load_pem_private_key(ca.key_pem, None)
    except ValueError as error:
        raise ValueError(f"{cert} or {key} cannot be read: {error}") from error
    if expires <= datetime.fromtimestamp(now_s, UTC):
        raise ValueError(f"the CA {cert} expired on {expires:%Y-%m-%d}")
    return ca


def _read(cert: Path, key: Path) -> tls.KeyPair | None:
    try:
        return tls.KeyPair.read(cert, key)
    except FileNotFoundError:
        return None


@contextmanager
def _locked(pki_dir: Path) -> Iterator[None]:
    """One process at a time; the lock goes with the process that holds it."""
    pki_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(pki_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
