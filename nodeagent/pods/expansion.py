"""$(VAR) in env values, command and args, as Kubernetes expands it.

`$(NAME)` becomes the value where NAME is known and stays as written where not; `$$` is one `$`.
Source: k8s.io/kubernetes third_party/forked/golang/expansion.
"""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(\$|\([^)]*\))")


def expand(text: str, known: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "$":
            return "$"
        return known.get(name[1:-1], match.group(0))

    return _REFERENCE.sub(replacement, text)
