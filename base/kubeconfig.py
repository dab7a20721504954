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
    """Write the kubeconfig of the pair `name` in `pki_dir` where it is not there, or differs;
    says whether it wrote."""
    client = tls.KeyPair.read(pki_dir / f"{name}.crt", pki_dir / f"{name}.key")
    text = kubeconfig(server, (pki_dir / "ca.crt").read_bytes(), client).encode()
    if path.exists() and path.read_bytes() == text:
        return False
    tls.write_private(path, text)
    return True


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
