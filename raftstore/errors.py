"""Why a member could not do what it was asked, in etcd's words (`api/v3rpc/rpctypes/error.go`).

Requests refused for what they say are `raftstore.mvcc.errors`. In both, `code` is the gRPC status
code's name.
"""


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
    def __init__(self, why: str = "") -> None:
        super().__init__("etcdserver: request timed out" + (f", {why}" if why else ""))


class NoLeader(NodeError):
    def __init__(self) -> None:
        super().__init__("etcdserver: no leader")


class LeaderChanged(NodeError):
    def __init__(self) -> None:
        super().__init__("etcdserver: leader changed")


class NotTheLeader(NodeError):
    """Only the leader can answer this; nothing was done."""

    code = "FAILED_PRECONDITION"

    def __init__(self) -> None:
        super().__init__("etcdserver: not leader")


class Unreachable(NodeError):
    """Another member could not be asked, or did not answer in time."""

    def __init__(self, member_id: int, why: str) -> None:
        super().__init__(f"member {member_id:x} cannot be reached: {why}")


class Removed(Exception):
    """The cluster has removed this member: it must not go on, or come back as it is."""

    def __init__(self, member_id: int) -> None:
        super().__init__(
            f"member {member_id:x} was removed from the cluster; to join it again, remove its "
            "data directory and add it as a new member"
        )


class ClusterError(Exception):
    """A change of the membership that was refused; nothing has changed."""

    code = "FAILED_PRECONDITION"
    text = ""

    def __init__(self) -> None:
        super().__init__(self.text)


class MemberExists(ClusterError):
    text = "etcdserver: member ID already exist"


class PeerUrlExists(ClusterError):
    text = "etcdserver: Peer URLs already exists"


class BadMemberUrls(ClusterError):
    code = "INVALID_ARGUMENT"
    text = "etcdserver: given member URLs are invalid"


class MemberNotFound(ClusterError):
    code = "NOT_FOUND"
    text = "etcdserver: member not found"


class MemberNotLearner(ClusterError):
    text = "etcdserver: can only promote a learner member"


class LearnerNotReady(ClusterError):
    text = "etcdserver: can only promote a learner member which is in sync with leader"


class TooManyLearners(ClusterError):
    text = "etcdserver: too many learner members in cluster"


class NotEnoughStarted(ClusterError):
    text = "etcdserver: re-configuration failed due to not enough started members"


class BadTransferee(ClusterError):
    text = "etcdserver: bad leader transferee"


class UnhealthyCluster(ClusterError):
    code = "UNAVAILABLE"
    text = "etcdserver: unhealthy cluster"
