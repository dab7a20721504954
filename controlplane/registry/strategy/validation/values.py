"""Checks of single values, to be put into tables of rules.

Each takes (value, faults, path of the structure, name of the field). A string that is empty is
absent to Kubernetes, unless the check says otherwise.
"""

import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any

from controlplane.registry.strategy.validation.faults import Faults, join
from controlplane.registry.strategy.validation.rules import Check
from kubeapi import names
from kubeapi.quantity import QuantityError, parse

Problems = Callable[[str], list[str]]

NOT_NEGATIVE = "must be greater than or equal to 0"
NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
NOT_A_PERCENT = (
    "a valid percent string must be a numeric string followed by an ending '%' "
    "(e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')"
)
_PERCENT = re.compile(r"[0-9]+%", re.ASCII)
PROTOCOLS = ("SCTP", "TCP", "UDP")


def one_of(*supported: str) -> Check:
    """One of these words. An empty one is absent."""
    known = frozenset(supported)

    def check(value: str, faults: Faults, path: str, name: str) -> None:
        if value not in known and value:
            faults.unsupported(join(path, name), value, supported)

    return check


def each_of(*supported: str) -> Check:
    """A list of these words; a fault names the place in the list."""
    known = frozenset(supported)

    def check(values: Sequence[str], faults: Faults, path: str, name: str) -> None:
        for index, value in enumerate(values):
            if value not in known:
                faults.unsupported(f"{join(path, name)}[{index}]", value, supported)

    return check


def at_least(limit: int, text: str = "") -> Check:
    message = text or f"must be greater than or equal to {limit}"

    def check(value: int, faults: Faults, path: str, name: str) -> None:
        if value < limit:
            faults.invalid(join(path, name), value, message)

    return check


not_negative = at_least(0)
positive = at_least(1, "must be greater than 0")


def between(low: int, high: int, text: str = "") -> Check:
    message = text or f"must be between {low} and {high}, inclusive"

    def check(value: int, faults: Faults, path: str, name: str) -> None:
        if not low <= value <= high:
            faults.invalid(join(path, name), value, message)

    return check


port = between(1, 65535)
user_id = between(0, 2**31 - 1)


def named(problems: Problems, *, empty: bool = False) -> Check:
    """A name of a form; with `empty` an empty string is judged too."""

    def check(value: str, faults: Faults, path: str, name: str) -> None:
        if value or empty:
            found = problems(value)
            if found:
                faults.each_invalid(join(path, name), value, found)

    return check


def each_named(problems: Problems) -> Check:
    def check(values: Sequence[str], faults: Faults, path: str, name: str) -> None:
        for index, value in enumerate(values):
            faults.each_invalid(f"{join(path, name)}[{index}]", value, problems(value))

    return check


label = named(names.dns_label_problems)
subdomain = named(names.dns_subdomain_problems)
qualified = named(names.qualified_name_problems)
qualified_or_empty = named(names.qualified_name_problems, empty=True)
ip_address = named(names.ip_address_problems)


def labels(value: dict[str, str], faults: Faults, path: str, name: str) -> None:
    if value:
        faults += names.label_causes(value, join(path, name))


def port_or_name(value: int | str, faults: Faults, path: str, name: str) -> None:
    if isinstance(value, int):
        port(value, faults, path, name)
    else:
        faults.each_invalid(join(path, name), value, names.port_name_problems(value))


def count_or_percent(value: int | str, faults: Faults, path: str, name: str) -> None:
    """A number that is not negative, or a percentage."""
    if isinstance(value, int):
        not_negative(value, faults, path, name)
    elif not _PERCENT.fullmatch(value):
        faults.invalid(join(path, name), value, NOT_A_PERCENT)


def percent_of(value: int | str | None) -> int | None:
    """The figure of a percentage; None for numbers and for text that is none."""
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return int(value[:-1])
    return None


def not_over_100_percent(value: int | str, faults: Faults, path: str, name: str) -> None:
    share = percent_of(value)
    if share is not None and share > 100:
        faults.invalid(join(path, name), value, "must not be greater than 100%")


def is_zero(value: int | str | None) -> bool:
    """0, 0% or absent."""
    return not value or percent_of(value) == 0


def cidr_problems(value: str) -> list[str]:
    """A CIDR in canonical form (`validation.IsValidCIDR`)."""
    try:
        if "/" not in value:
            raise ValueError
        interface = ipaddress.ip_interface(value)
    except ValueError:
        return [NOT_A_CIDR]
    if interface.ip != interface.network.network_address:
        return ["must not have bits set beyond the prefix length"]
    return []


cidr = named(cidr_problems)


def absolute_path(value: str, faults: Faults, path: str, name: str) -> None:
    if not value.startswith("/"):
        faults.invalid(join(path, name), value, "must be an absolute path")


def no_backsteps(value: str, faults: Faults, path: str, name: str) -> None:
    if ".." in value.split("/"):
        faults.invalid(join(path, name), value, "must not contain '..'")


def local_path(value: str, faults: Faults, path: str, name: str) -> None:
    """A path below a volume: relative, and never upwards."""
    if value.startswith("/"):
        faults.invalid(join(path, name), value, "must be a relative path")
    no_backsteps(value, faults, path, name)


def local_target(value: str, faults: Faults, path: str, name: str) -> None:
    """A file that we write into a volume: `..` is how its versions are switched."""
    local_path(value, faults, path, name)
    if value.startswith("..") and ".." not in value.split("/"):
        faults.invalid(join(path, name), value, "must not start with '..'")


def no_duplicates(items: Sequence[Any] | None, key: str, faults: Faults, path: str) -> None:
    """No two items have the same `key`; one that is empty is another fault."""
    if not items or len(items) < 2:
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        value = getattr(item, key)
        if value and value in seen:
            faults.duplicate(f"{path}[{index}].{key}", value)
        seen.add(value)


def domain_path(value: str, faults: Faults, path: str, name: str) -> None:
    """`example.com/foo` (apimachinery `IsDomainPrefixedPath`)."""
    where = join(path, name)
    prefix, slash, rest = value.partition("/")
    if not slash or not prefix or not rest:
        text = 'must be a domain-prefixed path (such as "acme.io/foo")'
        faults.invalid(where, value, text)
        return
    faults.each_invalid(where, prefix, names.dns_subdomain_problems(prefix))


def quantity_sign(text: str) -> int:
    """-1, 0 or 1."""
    nanos = parse(text).nanos
    return (nanos > 0) - (nanos < 0)


def is_quantity(text: str) -> bool:
    try:
        parse(text)
    except QuantityError:
        return False
    return True


def quantity_not_negative(value: str, faults: Faults, path: str, name: str) -> None:
    if value.startswith("-") and quantity_sign(value) < 0:
        faults.invalid(join(path, name), value, NOT_NEGATIVE)
