"""What each class and field means, from the docstrings of the `lightkube-models` package.

They are read as text: importing the modules would cost tens of megabytes and need the rest of
lightkube. A docstring is the description, then "**parameters**" and one entry per field; both are
wrapped at a fixed width, which is undone here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata, resources
from typing import Final

PACKAGE: Final = "lightkube.models"
DISTRIBUTION: Final = "lightkube-models"

_CLASS: Final = re.compile(r'^class (\w+)\(.*?\):\n    r?"""(.*?)"""', re.DOTALL | re.MULTILINE)
_FIELD: Final = re.compile(r"\n      \* \*\*(\w+)\*\* ``[^`]*`` - ")
_PARAMETERS: Final = "**parameters**"
_LIST_ITEM: Final = re.compile(r"\s*(?:[-*] |\d+[.)] )")


@dataclass(frozen=True)
class Doc:
    """What a class means, and its fields by their JSON names."""

    text: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)


NO_DOC: Final = Doc()


class Docs:
    """The docs of one build; modules are read when first asked for and freed with it."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, Doc]] = {}

    def of(self, module: str, name: str) -> Doc:
        """The docs of a class, by the module ("core_v1") and name it also has in `kubeapi`."""
        if module not in self._modules:
            self._modules[module] = _read(module)
        return self._modules[module].get(name, NO_DOC)


def version() -> str:
    """Which docs these are: part of what identifies a document."""
    return metadata.version(DISTRIBUTION)


def _read(module: str) -> dict[str, Doc]:
    source = resources.files(PACKAGE).joinpath(f"{module}.py")
    if not source.is_file():
        return {}  # a version that only one of the two packages has
    return {name: _parse(text) for name, text in _CLASS.findall(source.read_text())}


def _parse(docstring: str) -> Doc:
    head, *entries = _FIELD.split(docstring)
    text = unwrap(head.partition(_PARAMETERS)[0], indent=6)
    fields = {
        name: unwrap(entry, indent=8)
        for name, entry in zip(entries[::2], entries[1::2], strict=True)
    }
    return Doc(text, fields)


def unwrap(text: str, indent: int) -> str:
    """Paragraphs on one line each; blank lines, list items and indented lines stay."""
    first, *lines = text.strip().split("\n")
    found = first
    margin = " " * indent
    for line in lines:
        line = line.removeprefix(margin)
        if not line.strip():
            found = found.rstrip("\n") + "\n\n"
        elif found.endswith("\n"):
            found += line
        elif line[0].isspace() or _LIST_ITEM.match(line):
            found += "\n" + line
        else:
            found += " " + line
    return found
