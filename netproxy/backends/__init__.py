"""What writes a RuleSet into the kernel. All backends keep one contract and one test suite.

iptables now; another one is a module with a class that passes `check_backend` of the tests and a
line in `netproxy.main.BACKENDS`.
"""

from typing import Protocol

from netproxy.model import RuleSet


class BackendFailure(Exception):
    """The kernel's rules could not be read or written; what was there before still is."""


class Backend(Protocol):
    """Rules of others are never touched. Every method may be repeated."""

    async def apply(self, rules: RuleSet) -> None:
        """Make the kernel do `rules`: each table at once, so that no packet sees half of it.

        Raises BackendFailure; what was there before still is, and the next call writes it all.
        """
        ...

    async def is_intact(self) -> bool:
        """Whether what the last `apply` left is still what the kernel has."""
        ...

    def forget(self) -> None:
        """Make the next `apply` write everything, whatever was written before."""
        ...

    async def cleanup(self) -> bool:
        """Remove everything of ours, also of an earlier process; says whether there was any."""
        ...
