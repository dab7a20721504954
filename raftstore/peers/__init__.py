"""How members reach each other: what they say, and the gRPC streams that carry it.

`transport` is what the node asks of any carrier, `grpc_transport` the one over mTLS. A carrier may
lose, delay or repeat: Raft sends again what matters. It never looks into what it carries.
"""
