"""Flags as etcd reads them: a table of names, the command line, and ETCD_* variables.

Go's syntax (`-name value`, `--name=value`, a switch without a value), `ETCD_` and the name in
capitals where the command line does not say. A flag that means nothing here is refused by its
name: a store that runs with half of what its operator wrote is worse than one that does not.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENVIRONMENT_PREFIX = "ETCD_"


class FlagError(Exception):
    """What is wrong with which flag, in one line."""


class HelpAsked(Exception):
    """The command line asks for the flags, not for a store."""


@dataclass(frozen=True)
class Flag:
    """`parse` raises ValueError with what is wrong with the text that it is given."""

    name: str
    default: str
    help: str
    parse: Callable[[str], Any] = str
    is_switch: bool = False

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")


@dataclass(frozen=True)
class Given:
    """A value per flag of the table, and which of them were not left at their default."""

    values: Mapping[str, Any]
    explicit: frozenset[str]
    unknown_variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class FlagTable:
    """`refused`: etcd's flags that mean nothing here, with what to do instead."""

    flags: Sequence[Flag]
    refused: Mapping[str, str]

    def read(self, argv: Sequence[str], environment: Mapping[str, str]) -> Given:
        """Raises FlagError, HelpAsked."""
        known = {flag.name: flag for flag in self.flags}
        texts = self._command_line(argv, known)
        for flag in self.flags:
            # As in etcd, an empty variable is none, and the command line wins.
            if flag.name not in texts and environment.get(flag.variable):
                texts[flag.name] = environment[flag.variable]
        unknown = self._check_variables(environment, known)
        values = {
            flag.name: _parsed(flag, texts.get(flag.name, flag.default)) for flag in self.flags
        }
        return Given(values, frozenset(texts), tuple(unknown))

    def help_text(self) -> str:
        """A line per flag; defaults where there are any."""
        lines = []
        for flag in self.flags:
            default = f" (default {flag.default})" if flag.default else ""
            lines.append(f"  --{flag.name}\n        {flag.help}{default}")
        return "\n".join(lines)

    def _command_line(self, argv: Sequence[str], known: Mapping[str, Flag]) -> dict[str, str]:
        texts: dict[str, str] = {}
        words = list(argv)
        while words:
            word = words.pop(0)
            if word in ("-h", "-help", "--help"):
                raise HelpAsked
            if not word.startswith("-"):
                raise FlagError(f"{word!r}: an argument where a flag was expected")
            name, has_value, value = word.lstrip("-").partition("=")
            if name not in known:
                raise FlagError(self._why_unknown(name))
            if not has_value and known[name].is_switch:
                value = "true"
            elif not has_value:
                if not words:
                    raise FlagError(f"--{name}: needs a value")
                value = words.pop(0)
            texts[name] = value
        return texts

    def _check_variables(
        self, environment: Mapping[str, str], known: Mapping[str, Flag]
    ) -> list[str]:
        """The ETCD_* variables that no flag stands behind. Raises FlagError for refused ones."""
        variables = {flag.variable for flag in known.values()}
        # Meant for etcdctl, which people set in the same shell.
        foreign = {name for name in environment if name.startswith(f"{ENVIRONMENT_PREFIX}CTL")}
        unknown = []
        for variable, text in environment.items():
            if not variable.startswith(ENVIRONMENT_PREFIX) or variable in variables | foreign:
                continue
            name = variable.removeprefix(ENVIRONMENT_PREFIX).lower().replace("_", "-")
            if text and name in self.refused:
                raise FlagError(f"{variable}: {self.refused[name]}")
            unknown.append(variable)
        return sorted(unknown)

    def _why_unknown(self, name: str) -> str:
        if name in self.refused:
            return f"--{name}: {self.refused[name]}"
        close = difflib.get_close_matches(name, [flag.name for flag in self.flags], 1)
        hint = f"; did you mean --{close[0]}?" if close else "; see --help for those there are"
        return f"--{name}: there is no such flag{hint}"


def _parsed(flag: Flag, text: str) -> Any:
    try:
        return flag.parse(text)
    except ValueError as error:
        raise FlagError(f"--{flag.name}: invalid value {text!r}: {error}") from error


# -- what values look like


def switch(text: str) -> bool:
    """Go's `strconv.ParseBool`."""
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError("true or false")


def whole(minimum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]+", text):
            raise ValueError("not a whole number")
        if int(text) < minimum:
            raise ValueError(f"at least {minimum}")
        return int(text)

    return parse


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return text

    return parse


def only(value: str, why: str) -> Callable[[str], str]:
    """A flag that has one value here; written out, it does no harm."""

    def parse(text: str) -> str:
        if text != value:
            raise ValueError(f"only {value!r} is there: {why}")
        return text

    return parse


_DURATION_UNITS_S = {
    "ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0,
}  # fmt: skip
_DURATION_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|ms|s|m|h)")


def duration_s(text: str) -> float:
    """Go's `time.ParseDuration`, in seconds: `1h30m`, `500ms`, and `0`."""
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("not a duration such as 30s, 5m or 1h30m")
    return sum(float(number) * _DURATION_UNITS_S[unit] for number, unit in parts)
