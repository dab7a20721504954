"""`python -m kubeapi.generate`: rewrite kubeapi/types from the published schema."""

from pathlib import Path

from kubeapi.generate.render import render
from kubeapi.generate.schema import load

TYPES = Path(__file__).parent.parent / "types"


def main() -> None:
    files = render(load())
    for stale in TYPES.glob("*.py"):
        if stale.name not in files and stale.name != "__init__.py":
            stale.unlink()
    for name, text in files.items():
        (TYPES / name).write_text(text)


if __name__ == "__main__":
    main()
