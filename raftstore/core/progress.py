"""How far each member is, and what a majority of them agrees on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass
class Progress:
    """A leader's view of one member (paper, figure 2: nextIndex, matchIndex). `in_flight`: an
    append was sent and not answered; one at a time."""

    next_index: int
    match_index: int = 0
    in_flight: bool = False

    def matched(self, index: int) -> None:
        self.in_flight = False
        self.match_index = max(self.match_index, index)
        self.next_index = max(self.next_index, self.match_index + 1)

    def refused(self, try_index: int) -> None:
        """The member lacks what was before: go back, never behind what is known to match."""
        self.in_flight = False
        self.next_index = max(self.match_index, min(self.next_index - 2, try_index)) + 1


def agreed_index(match_indexes: Sequence[int]) -> int:
    """The highest index that a majority has."""
    in_order = sorted(match_indexes)
    return in_order[(len(in_order) - 1) // 2]


def vote_result(votes: Mapping[int, bool], voters: Sequence[int]) -> bool | None:
    """True: won. False: cannot win any more. None: open."""
    majority = len(voters) // 2 + 1
    granted = sum(1 for voter in voters if votes.get(voter) is True)
    refused = sum(1 for voter in voters if votes.get(voter) is False)
    if granted >= majority:
        return True
    return False if len(voters) - refused < majority else None
