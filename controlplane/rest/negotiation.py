"""Which form of an answer the client takes: the first in its `Accept` that is served."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from kubeapi import errors

META_GROUP: Final = "meta.k8s.io"
_TRANSFORMS: Final = frozenset({"Table", "PartialObjectMetadata", "PartialObjectMetadataList"})


@dataclass(frozen=True, slots=True)
class Form:
    """`transform` is "", Table, PartialObjectMetadata or PartialObjectMetadataList."""

    transform: str = ""
    yaml: bool = False

    @property
    def content_type(self) -> str:
        return "application/yaml" if self.yaml else "application/json"


PLAIN: Final = Form()


@lru_cache(maxsize=256)
def form_of(accept: str) -> Form:
    """The form to answer in. StatusError 406 where nothing that is served fits."""
    if not accept.strip():
        return PLAIN
    for offer in _by_weight(accept):
        media, _, parameters = offer.partition(";")
        media = media.strip().lower()
        options = {
            key.strip(): value.strip()
            for key, _, value in (p.partition("=") for p in parameters.split(";"))
        }
        transform = options.get("as", "")
        if transform and not _served(transform, options):
            continue
        if media in ("application/json", "application/*", "*/*"):
            return Form(transform)
        if media == "application/yaml" and not transform:
            return Form("", yaml=True)
    raise errors.StatusError(
        406, "NotAcceptable",
        "only the following media types are accepted: application/json, application/yaml",
    )  # fmt: skip


def _served(transform: str, options: dict[str, str]) -> bool:
    return transform in _TRANSFORMS and options.get("g") == META_GROUP and options.get("v") == "v1"


def _by_weight(accept: str) -> list[str]:
    def weight(offer: str) -> float:
        for parameter in offer.split(";")[1:]:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    return -float(value)
                except ValueError:
                    return 0.0
        return -1.0

    return sorted(accept.split(","), key=weight)  # a stable sort keeps the client's order
