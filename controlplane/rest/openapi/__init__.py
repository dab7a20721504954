"""OpenAPI: the API described for clients, version 3 per group and version, version 2 as a whole.

`kubectl explain`, `apply`, `create` and `edit` read it. Documents are megabytes that most
servers are never asked for, so nothing is made before the first request: `schemas` describes the
classes of `kubeapi.types`, `docs` finds what each field means, `paths` describes the operations of
`kubeapi.resources`, `gnostic` turns version 2 into the protobuf form of older kubectl. What is
kept afterwards is the compressed bytes.

Calls take a second of CPU at worst: make them in a thread.
"""

from controlplane.rest.openapi.service import OpenApi

__all__ = ["OpenApi"]
