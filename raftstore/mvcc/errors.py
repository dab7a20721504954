"""What a request can be refused for, in etcd's words (etcd `api/v3rpc/rpctypes/error.go`).

`code` is the gRPC status code's name, so that a server answers what etcd answers.
"""


class MvccError(Exception):
    """A request that was refused; nothing of it was applied."""

    text = "etcdserver: request refused"
    code = "INVALID_ARGUMENT"

    def __init__(self) -> None:
        super().__init__(self.text)


class EmptyKey(MvccError):
    text = "etcdserver: key is not provided"


class KeyNotFound(MvccError):
    text = "etcdserver: key not found"


class ValueProvided(MvccError):
    text = "etcdserver: value is provided"


class LeaseProvided(MvccError):
    text = "etcdserver: lease is provided"


class TooManyOps(MvccError):
    text = "etcdserver: too many operations in txn request"


class DuplicateKey(MvccError):
    text = "etcdserver: duplicate key given in txn request"


class RequestTooLarge(MvccError):
    text = "etcdserver: request is too large"


class Compacted(MvccError):
    """Carries the oldest revision that is still whole, as etcd's watch answer does."""

    text = "etcdserver: mvcc: required revision has been compacted"
    code = "OUT_OF_RANGE"

    def __init__(self, compact_revision: int) -> None:
        super().__init__()
        self.compact_revision = compact_revision


class FutureRevision(MvccError):
    text = "etcdserver: mvcc: required revision is a future revision"
    code = "OUT_OF_RANGE"


class LeaseNotFound(MvccError):
    text = "etcdserver: requested lease not found"
    code = "NOT_FOUND"


class LeaseExists(MvccError):
    text = "etcdserver: lease already exists"
    code = "FAILED_PRECONDITION"


class LeaseTtlTooLarge(MvccError):
    text = "etcdserver: too large lease TTL"
    code = "OUT_OF_RANGE"


class NoSpace(MvccError):
    """A NOSPACE alarm is raised: what would add to the store is refused."""

    text = "etcdserver: mvcc: database space exceeded"
    code = "RESOURCE_EXHAUSTED"


class Corrupt(MvccError):
    """A CORRUPT alarm is raised: members were found to hold different states."""

    text = "etcdserver: corrupt cluster"
    code = "DATA_LOSS"


class UnknownMember(MvccError):
    """It was removed, or never was."""

    text = "etcdserver: member not found"
    code = "NOT_FOUND"
