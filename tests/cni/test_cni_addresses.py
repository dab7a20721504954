"""Addresses: given once, kept over restarts, never leaked by a torn file."""

import ipaddress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cni.server.addresses import Addresses, gateway_of, parse_pod_cidr
from cni.server.protocol import Attachment, CniError, ErrorCode


def addresses(directory: Path, cidr: str = "10.244.3.0/24") -> Addresses:
    found = Addresses(directory)
    found.load()
    found.set_network(parse_pod_cidr(cidr))
    return found


def pod(number: int) -> Attachment:
    return Attachment(f"c{number}", "eth0")


def test_the_first_address_follows_the_gateway(tmp_path: Path) -> None:
    assert gateway_of(ipaddress.IPv4Network("10.244.3.0/24")) == "10.244.3.1"
    assert addresses(tmp_path).acquire(pod(1), "/n", 0.0).address == "10.244.3.2"


def test_the_same_attachment_keeps_its_address(tmp_path: Path) -> None:
    pool = addresses(tmp_path)
    first = pool.acquire(pod(1), "/n", 0.0)
    assert pool.acquire(pod(1), "/n", 9.0) == first
    moved = pool.acquire(pod(1), "/other", 9.0)
    assert (moved.netns, len(pool.leases())) == ("/other", 1)
    assert pool.acquire(Attachment("c1", "net1"), "/n", 9.0).address != moved.address


def test_a_released_address_rests_until_all_others_were_used(tmp_path: Path) -> None:
    pool = addresses(tmp_path, "10.0.0.0/29")  # .2 to .6
    given_out = [pool.acquire(pod(n), "/n", float(n)).address for n in range(3)]
    assert given_out == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    pool.release(pod(0))
    assert [pool.acquire(pod(n), "/n", float(n)).address for n in (3, 4, 5)] == [
        "10.0.0.5",
        "10.0.0.6",
        "10.0.0.2",
    ]


def test_when_all_are_used_the_error_says_so(tmp_path: Path) -> None:
    pool = addresses(tmp_path, "10.0.0.0/30")
    pool.acquire(pod(1), "/n", 0.0)
    with pytest.raises(CniError, match=r"all 1 addresses of podCIDR 10\.0\.0\.0/30") as caught:
        pool.acquire(pod(2), "/n", 0.0)
    assert caught.value.code == ErrorCode.NO_FREE_ADDRESS
    pool.release(pod(1))
    assert pool.acquire(pod(2), "/n", 0.0).address == "10.0.0.2"


def test_without_a_pod_cidr_the_runtime_is_to_come_again(tmp_path: Path) -> None:
    pool = Addresses(tmp_path)
    pool.load()
    with pytest.raises(CniError) as caught:
        pool.acquire(pod(1), "/n", 0.0)
    assert caught.value.code == ErrorCode.TRY_AGAIN_LATER


def test_a_restart_remembers_addresses_and_where_it_was(tmp_path: Path) -> None:
    before = addresses(tmp_path)
    first = before.acquire(pod(1), "/n1", 1.0)
    before.acquire(pod(2), "/n2", 2.0)
    before.release(pod(2))
    before.acquire(pod(3), "/n3", 3.0)
    after = addresses(tmp_path)
    assert after.find(pod(1)) == first
    assert {lease.address for lease in after.leases()} == {"10.244.3.2", "10.244.3.4"}
    assert after.acquire(pod(4), "/n", 4.0).address == "10.244.3.5"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": "10.244.3.7"}', '{"x": 1}'])
def test_a_torn_file_frees_its_address(tmp_path: Path, text: str) -> None:
    (tmp_path / "10.244.3.2").write_text(text)
    pool = addresses(tmp_path)
    assert pool.leases() == []
    assert pool.acquire(pod(1), "/n", 0.0).address == "10.244.3.2"


def test_a_temporary_file_of_a_crash_is_no_lease(tmp_path: Path) -> None:
    addresses(tmp_path).acquire(pod(1), "/n", 0.0)
    (tmp_path / "10.244.3.2").rename(tmp_path / ".10.244.3.2.tmp")
    assert addresses(tmp_path).leases() == []
    assert list(tmp_path.iterdir()) == []


def test_a_new_pod_cidr_leaves_old_addresses_to_their_owners(tmp_path: Path) -> None:
    pool = addresses(tmp_path)
    old = pool.acquire(pod(1), "/n", 0.0)
    pool.set_network(parse_pod_cidr("10.244.9.0/24"))
    assert pool.find(pod(1)) == old
    assert pool.acquire(pod(2), "/n", 1.0).address == "10.244.9.2"
    assert pool.acquire(pod(1), "/n", 2.0).address == "10.244.9.3"
    assert {lease.address for lease in pool.leases()} == {"10.244.9.2", "10.244.9.3"}


@pytest.mark.parametrize(
    ("text", "why"),
    [("fd00::/64", "IPv6"), ("10.0.0.0/31", "no room"), ("10.0.0.1/24", "host bits"), ("x", "x")],
)
def test_a_pod_cidr_that_cannot_be_served_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_pod_cidr(text)


@settings(deadline=None, max_examples=60)
@given(steps=st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40))
def test_no_address_has_two_owners_and_files_tell_the_truth(
    steps: list[tuple[bool, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("addresses")
    pool = addresses(directory, "10.0.0.0/29")
    held: dict[Attachment, str] = {}
    for index, (add, number) in enumerate(steps):
        if not add:
            pool.release(pod(number))
            held.pop(pod(number), None)
        elif len(held) < 5 or pod(number) in held:
            held[pod(number)] = pool.acquire(pod(number), "/n", float(index)).address
    assert len(set(held.values())) == len(held)
    reloaded = addresses(directory, "10.0.0.0/29")
    assert {lease.attachment: lease.address for lease in reloaded.leases()} == held
