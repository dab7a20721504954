"""A kubeconfig with embedded certificates, as kubectl and the client libraries read it.

Source: the `Config` type of client-go `tools/clientcmd/api/v1`.
"""

import base64
from pathlib import Path

from base import tls

_TEMPLATE = """\
apiVersion: v1
kind: Config
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {cert}
    client-key-data: {key}
contexts:
- name: {user}@{cluster}
  context:
    cluster: {cluster}
    user: {user}
current-context: {user}@{cluster}
preferences: {{}}
"""


def kubeconfig(
    server: str,
    ca_pem: bytes,
    client: tls.KeyPair,
    *,
    user: str = "kubernetes-admin",
    cluster: str = "pinnace",
) -> str:
    """The YAML of a kubeconfig for `server` ("https://host:port")."""
    return _TEMPLATE.format(
        cluster=cluster,
        server=server,
        user=user,
        ca=_base64(ca_pem),
        cert=_base64(client.cert_pem),
        key=_base64(client.key_pem),
    )


def ensure_kubeconfig(path: Path, server: str, pki_dir: Path, name: str = "admin") -> bool:
    """Write the kubeconfig of the pair `name` in `pki_dir` unless the one that is there has this
    server and these certificates; says whether it wrote.

    What its user set beside them stays: `kubectl config set-context` writes into this file.
    """
    client = tls.KeyPair.read(pki_dir / f"{name}.crt", pki_dir / f"{name}.key")
    ca_pem = (pki_dir / "ca.crt").read_bytes()
    there = path.read_text().split() if path.exists() else []
    wanted = [server, *map(_base64, (ca_pem, client.cert_pem, client.key_pem))]
    if all(word in there for word in wanted):
        return False
    tls.write_private(path, kubeconfig(server, ca_pem, client).encode())
    return True


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
