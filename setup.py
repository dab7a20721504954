"""Build step: proto/*.proto become the package pinnace_wire, generated and never committed."""

import importlib.resources
import re
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
OUT = ROOT / "pinnace_wire"


def generate() -> None:
    """Write pinnace_wire/*_pb2.py, *_pb2.pyi and *_pb2_grpc.py, flat, one set per proto file."""
    from grpc_tools import protoc

    OUT.mkdir(exist_ok=True)
    for stale in OUT.glob("*.py*"):
        stale.unlink()
    well_known = str(importlib.resources.files("grpc_tools") / "_proto")
    sources = sorted(str(p.relative_to(ROOT / "proto")) for p in (ROOT / "proto").glob("*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"-I{ROOT / 'proto'}",
            f"-I{well_known}",
            f"--python_out={OUT}",
            f"--pyi_out={OUT}",
            f"--grpc_python_out={OUT}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit(f"protoc failed with status {status}")
    (OUT / "__init__.py").write_text('"""Generated from proto/ by setup.py; do not edit."""\n')
    for stub in [*OUT.glob("*_pb2*.py"), *OUT.glob("*_pb2*.pyi")]:
        text = stub.read_text()
        text = re.sub(r"^import (\w+_pb2)", r"from pinnace_wire import \1", text, flags=re.M)
        stub.write_text(text)


class GenerateThenBuild(build_py):
    def run(self) -> None:
        generate()
        super().run()


if __name__ == "__main__":
    setup(cmdclass={"build_py": GenerateThenBuild})
