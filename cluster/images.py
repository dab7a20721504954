"""Container images without a registry: built from the machine's own busybox, byte for byte
the same each time.

The archive is an OCI image layout (image-spec, image-layout.md): `oci-layout`, `index.json` and
blobs by digest. All images share one layer with busybox and its applets.
"""

import gzip
import hashlib
import io
import json
import platform
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cluster.errors import CommandError

PAUSE = "pinnace.local/pause:1"
HELLO = "pinnace.local/hello:1"
# Something for `kubectl set image` to upgrade to.
HELLO_2 = "pinnace.local/hello:2"
BUSYBOX = "pinnace.local/busybox:1"
CREATED = "1970-01-01T00:00:00Z"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NOBODY = 65534
CALL_S = 10.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64"}

# PID 1 ignores a signal that it has no handler for, hence the traps. `wait` reaps whatever
# orphans of the pod land here when containers share one process namespace.
PAUSE_COMMAND = "trap 'exit 0' TERM INT; while :; do sleep 2147483647 & wait; done"
HELLO_SCRIPT = """\
#!/bin/sh
# Serves a page that tells which pod answers; requests go to the log.
trap 'kill $!; exit 0' TERM INT
echo "Hello from $(hostname), version {version}" >/www/index.html
httpd -f -vv -p 8080 -h /www &
echo "serving on port 8080"
wait
"""


@dataclass(frozen=True)
class Entry:
    """A file (`data`), a symbolic link (`target`) or, with neither, a directory."""

    data: bytes | None = None
    target: str = ""
    mode: int = 0o755
    uid: int = 0


@dataclass(frozen=True)
class Image:
    """What one image runs, and the files it has beyond busybox."""

    name: str
    cmd: Sequence[str]
    entrypoint: Sequence[str] = ()
    files: Mapping[str, Entry] = field(default_factory=dict)
    user: str = ""
    port: int = 0


def images() -> list[Image]:
    """What Pinnace and its examples run."""
    return [
        Image(PAUSE, (), ("/bin/sh", "-c", PAUSE_COMMAND), user=f"{NOBODY}:{NOBODY}"),
        _hello(HELLO, 1),
        _hello(HELLO_2, 2),
        Image(BUSYBOX, ("sh",)),
    ]


def _hello(name: str, version: int) -> Image:
    files = {
        "usr/bin/hello": Entry(HELLO_SCRIPT.format(version=version).encode()),
        "www": Entry(uid=NOBODY),
    }
    return Image(name, ("/usr/bin/hello",), (), files, f"{NOBODY}:{NOBODY}", 8080)


def build_archive(busybox: Mapping[str, bytes], applets: Sequence[str], architecture: str) -> bytes:
    """The layout archive of all images. `busybox`: the program as "bin/busybox", and the
    libraries that it needs, if any, by their paths without the leading slash."""
    base = _layer(_base_files(busybox, applets))
    blobs: dict[str, bytes] = {}
    manifests = [_add_image(blobs, image, base, architecture) for image in images()]
    index = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    }
    files = {f"blobs/sha256/{digest}": Entry(data, mode=0o644) for digest, data in blobs.items()}
    files["index.json"] = Entry(_json(index), mode=0o644)
    files["oci-layout"] = Entry(_json({"imageLayoutVersion": "1.0.0"}), mode=0o644)
    return _tar(files)


def _base_files(busybox: Mapping[str, bytes], applets: Sequence[str]) -> dict[str, Entry]:
    files = {
        "dev": Entry(),
        "etc/passwd": Entry(
            b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
            mode=0o644,
        ),
        "etc/group": Entry(b"root:x:0:\nnogroup:x:65534:\n", mode=0o644),
        "proc": Entry(),
        "root": Entry(mode=0o700),
        "sys": Entry(),
        "tmp": Entry(mode=0o1777),
        "usr/bin": Entry(),
        "var/run": Entry(),
    }
    files |= {path: Entry(data) for path, data in busybox.items()}
    files |= {f"bin/{name}": Entry(target="busybox") for name in applets if name != "busybox"}
    return files


@dataclass(frozen=True)
class _Layer:
    compressed: bytes
    diff_id: str


def _layer(files: Mapping[str, Entry]) -> _Layer:
    tar = _tar(files)
    # mtime=0 keeps the clock out of the bytes.
    return _Layer(gzip.compress(tar, compresslevel=1, mtime=0), f"sha256:{_digest(tar)}")


def _add_image(
    blobs: dict[str, bytes], image: Image, base: _Layer, architecture: str
) -> dict[str, object]:
    """Put the image's blobs into `blobs`; returns its descriptor for the index."""
    layers = [base, _layer(image.files)] if image.files else [base]
    settings: dict[str, object] = {"Env": [PATH], "Cmd": list(image.cmd), "WorkingDir": "/"}
    if image.entrypoint:
        settings["Entrypoint"] = list(image.entrypoint)
    if image.user:
        settings["User"] = image.user
    if image.port:
        settings["ExposedPorts"] = {f"{image.port}/tcp": {}}
    config = {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": CREATED, "created_by": "pinnace"} for _ in layers],
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _put(blobs, "application/vnd.oci.image.config.v1+json", _json(config)),
        "layers": [
            _put(blobs, "application/vnd.oci.image.layer.v1.tar+gzip", layer.compressed)
            for layer in layers
        ],
    }
    descriptor = _put(blobs, "application/vnd.oci.image.manifest.v1+json", _json(manifest))
    annotations = {
        "io.containerd.image.name": image.name,
        "org.opencontainers.image.ref.name": image.name.rpartition(":")[2],
    }
    target = {"architecture": architecture, "os": "linux"}
    return descriptor | {"platform": target, "annotations": annotations}


def _put(blobs: dict[str, bytes], media_type: str, data: bytes) -> dict[str, object]:
    digest = _digest(data)
    blobs[digest] = data
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}


def _tar(files: Mapping[str, Entry]) -> bytes:
    """A tar of these files and the directories above them, in order, without times or names of
    this machine."""
    every = {str(parent): Entry() for path in files for parent in Path(path).parents}
    every |= files
    every.pop(".", None)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(every):
            entry = every[path]
            info = tarfile.TarInfo(path)
            info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.uid
            info.type = tarfile.DIRTYPE
            if entry.target:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.target, 0o777
            elif entry.data is not None:
                info.type, info.size = tarfile.REGTYPE, len(entry.data)
            tar.addfile(info, io.BytesIO(entry.data or b""))
    return out.getvalue()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def find_busybox() -> Path | None:
    """The machine's busybox, of whichever package."""
    found = shutil.which("busybox", path="/bin:/usr/bin:/usr/sbin:/sbin:/usr/local/bin")
    return Path(found).resolve() if found else None


def machine_archive() -> bytes:
    """The archive from this machine's busybox."""
    busybox = find_busybox()
    architecture = _ARCHITECTURES.get(platform.machine())
    if busybox is None:
        raise CommandError("needs busybox to build its images from")
    if architecture is None:
        raise CommandError(f"images for {platform.machine()} machines are not known")
    applets = _output([str(busybox), "--list"]).split()
    lacking = {"sh", "httpd", "sleep"} - set(applets)
    if lacking:
        raise CommandError(f"{busybox} lacks {', '.join(sorted(lacking))}: install busybox-static")
    return build_archive(busybox_files(busybox), applets, architecture)


def busybox_files(busybox: Path) -> dict[str, bytes]:
    """The program and, for Debian's dynamic `busybox` package (which busybox-static would
    replace), the libraries that its loader names, at the paths where they are looked for."""
    files = {"bin/busybox": busybox.read_bytes()}
    if not _is_dynamic(files["bin/busybox"]):
        return files
    for word in _output(["ldd", str(busybox)]).split():
        if word.startswith("/"):
            files[word.lstrip("/")] = Path(word).read_bytes()
    return files


def _is_dynamic(elf: bytes) -> bool:
    """Whether the program asks for a loader: it has a PT_INTERP segment (ELF specification)."""
    is_64 = elf[4] == 2
    order: Literal["little", "big"] = "little" if elf[5] == 1 else "big"
    where, width = (32, 8) if is_64 else (28, 4)
    offset = int.from_bytes(elf[where : where + width], order)
    where = 54 if is_64 else 42
    size = int.from_bytes(elf[where : where + 2], order)
    count = int.from_bytes(elf[where + 2 : where + 4], order)
    starts = [offset + size * number for number in range(count)]
    return any(int.from_bytes(elf[at : at + 4], order) == 3 for at in starts)


def _output(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=CALL_S, check=False)
    if done.returncode != 0:
        raise CommandError(f"{argv[0]} failed: {done.stderr.strip() or done.returncode}")
    return done.stdout
