"""What callers of this room have to expect."""


class NetworkFailure(RuntimeError):
    """The node's network could not be read or brought to what was asked; the text says why."""
