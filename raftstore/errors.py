"""Why a member could not do what it was asked, in etcd's words; requests refused for what they say
are `raftstore.mvcc.errors`. In both, `code` is the gRPC status code's name."""


class NodeError(Exception):
    """The request had no answer: where it was a write, whether it happened is not known."""

    code = "UNAVAILABLE"


class Stopped(NodeError):
    def __init__(self, why: str = "") -> None:
        super().__init__("etcdserver: server stopped" + (f": {why}" if why else ""))


class TooManyRequests(NodeError):
    """Refused before it was written anywhere."""

    code = "RESOURCE_EXHAUSTED"

    def __init__(self) -> None:
        super().__init__("etcdserver: too many requests")


class RequestTimedOut(NodeError):
    def __init__(self) -> None:
        super().__init__("etcdserver: request timed out")
