"""Writes `kubeapi/types`: a development tool, run as `python -m kubeapi.generate`.

Its input is the published schema of Kubernetes in the PyPI package `kubernetes-validate` (the
`generate` extra). Nothing imports this package at run time, and it imports nothing of the rooms.
Beside the types it records their digest, so that a change by hand is noticed where the schema is
not installed.
"""

import hashlib
from pathlib import Path

TYPES = Path(__file__).parent.parent / "types"
DIGEST = Path(__file__).parent / "digest.txt"


def digest() -> str:
    """SHA-256 over the names and texts of the generated files."""
    total = hashlib.sha256()
    for path in sorted(TYPES.glob("*.py")):
        if path.name != "__init__.py":
            total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()
