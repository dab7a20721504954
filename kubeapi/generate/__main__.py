"""`python -m kubeapi.generate`: rewrite kubeapi/types from the published schema."""

from kubeapi.generate import DIGEST, TYPES, digest
from kubeapi.generate.render import render
from kubeapi.generate.schema import load


def main() -> None:
    files = render(load())
    for stale in TYPES.glob("*.py"):
        if stale.name not in files and stale.name != "__init__.py":
            stale.unlink()
    for name, text in files.items():
        (TYPES / name).write_text(text)
    DIGEST.write_text(digest() + "\n")


if __name__ == "__main__":
    main()
