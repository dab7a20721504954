"""Every kind of the API served the same way, from data.

A `Registry` does the verbs of all kinds over the store: `cache` holds what the store holds as
bytes and, once somebody asks, as structs; `lifecycle` has the rules of metadata; `strategy` what
differs from kind to kind. `api` puts authorization and admission in front. The doors
(`controlplane.rest`, `controlplane.grpc`, `local_client`) are thin over it.
It never speaks HTTP or gRPC, and knows no controller.
"""
