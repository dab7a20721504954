"""What a majority of the voters agrees on."""

from collections.abc import Container, Mapping, Sequence


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


def is_majority(members: Container[int], voters: Sequence[int]) -> bool:
    return sum(1 for voter in voters if voter in members) > len(voters) // 2
