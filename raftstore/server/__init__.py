"""etcd's v3 gRPC API and its HTTP pages, served over a `Node`.

`wire` turns messages into the store's commands and answers into bytes, `calls` says how a call
begins and ends; then one module per service. Neighbours: `raftstore.node` does what is asked, and
`raftstore.daemon.main` listens. It decides nothing about data: who may call is the TLS credentials'
matter, and what a request does is the state machine's.
"""

from raftstore.server.server import Server, ServerOptions, serve

__all__ = ["Server", "ServerOptions", "serve"]
