"""A leader hands over to another voter (thesis, 3.10)."""

from raftstore.core.messages import NOBODY


class Handover:
    """`to` is NOBODY where none is under way. Proposals stop meanwhile, so that the one that takes
    over can have all of the log; it is given up after an election timeout."""

    def __init__(self, timeout_ticks: int) -> None:
        self.to = NOBODY
        self._timeout_ticks = timeout_ticks
        self._elapsed_ticks = 0
        self._is_told = False

    def begin(self, to: int) -> None:
        """Another target takes the place of the last; the same one gets no more time."""
        if to != self.to:
            self.to = to
            self._elapsed_ticks = 0
            self._is_told = False

    def tick(self) -> None:
        self._elapsed_ticks += 1
        if self._elapsed_ticks >= self._timeout_ticks:
            self.to = NOBODY

    @property
    def waits_for_log(self) -> bool:
        """It is to be told to campaign as soon as it has all of the log."""
        return self.to != NOBODY and not self._is_told

    def told(self) -> None:
        self._is_told = True
