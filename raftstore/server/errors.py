"""What these services refuse by themselves, in etcd's words (`api/v3rpc/rpctypes/error.go`).

What the store refuses is in `raftstore.mvcc.errors` and `raftstore.errors`; all of them have a
`code`, the gRPC status code's name, and their text.
"""


class Refused(Exception):
    """A call that ends with a status of its own."""

    text = "etcdserver: request refused"
    code = "INVALID_ARGUMENT"

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class InvalidSortOption(Refused):
    text = "etcdserver: invalid sort option"


class InvalidCompare(Refused):
    """etcd lets every such compare hold; here a caller who means something else hears of it."""

    text = "etcdserver: invalid compare in txn request"


class NoLeader(Refused):
    text = "etcdserver: no leader"
    code = "UNAVAILABLE"


class NotLeader(Refused):
    text = "etcdserver: not leader"
    code = "FAILED_PRECONDITION"


class NotSupportedForLearner(Refused):
    text = "etcdserver: rpc not supported for learner"
    code = "UNAVAILABLE"


class AuthNotEnabled(Refused):
    text = "etcdserver: authentication is not enabled"
    code = "FAILED_PRECONDITION"


class WrongDowngradeVersionFormat(Refused):
    text = "etcdserver: wrong downgrade target version format"


class InvalidDowngradeTargetVersion(Refused):
    text = "etcdserver: invalid downgrade target version"


class NoInflightDowngrade(Refused):
    text = "etcdserver: no inflight downgrade job"
    code = "FAILED_PRECONDITION"


class UnknownMethod(Refused):
    text = "etcdserver: unknown method"
    code = "UNKNOWN"


class UnknownService(Refused):
    text = "unknown service"
    code = "NOT_FOUND"


class LockRefused(Refused):
    """The lock and election services are clients of the store in etcd, and what their calls are
    refused with loses its code on the way."""

    code = "UNKNOWN"


class Undecodable(Refused):
    text = "grpc: failed to unmarshal the received message"
    code = "INTERNAL"
