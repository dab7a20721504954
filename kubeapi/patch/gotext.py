"""Values as Go's `%v` prints them, for messages that Kubernetes makes that way."""

from typing import Any


def go_text(value: Any) -> str:
    """`map[a:1 b:[x y]]`: keys sorted, text without quotes."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case dict():
            return "map[" + " ".join(f"{k}:{go_text(value[k])}" for k in sorted(value)) + "]"
        case list():
            return "[" + " ".join(go_text(each) for each in value) + "]"
        case float():
            return f"{value:g}"
    return str(value)
