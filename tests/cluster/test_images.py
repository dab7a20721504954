"""The images: same bytes each time, whole by the OCI image layout, and they run."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from pathlib import Path

import pytest

from cluster import images
from cluster.errors import CommandError

# The header of a static 64-bit ELF: no program headers at all.
STATIC = b"\x7fELF\x02\x01\x01" + bytes(57)
BUSYBOX = {"bin/busybox": STATIC + b"program"}
APPLETS = ["busybox", "httpd", "sh", "sleep"]


def members(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        files = {m.name: tar.extractfile(m) for m in tar.getmembers() if m.isfile()}
        return {name: file.read() for name, file in files.items() if file}


def layer_names(files: dict[str, bytes], image: str) -> dict[str, tarfile.TarInfo]:
    """The members of all layers of `image`, by their names."""
    found = {}
    for layer in manifest(files, image)["layers"]:
        data = gzip.decompress(blob(files, layer["digest"]))
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            found.update({member.name: member for member in tar.getmembers()})
    return found


def manifest(files: dict[str, bytes], image: str) -> dict[str, list[dict[str, str]]]:
    for entry in json.loads(files["index.json"])["manifests"]:
        if entry["annotations"]["io.containerd.image.name"] == image:
            return dict(json.loads(blob(files, entry["digest"])))
    raise KeyError(image)


def blob(files: dict[str, bytes], digest: str) -> bytes:
    return files[f"blobs/{digest.replace(':', '/')}"]


def test_same_bytes_each_time() -> None:
    first = images.build_archive(BUSYBOX, APPLETS, "amd64")
    assert first == images.build_archive(BUSYBOX, APPLETS, "amd64")
    assert first != images.build_archive(BUSYBOX, APPLETS, "arm64")


def test_no_clock_is_in_the_bytes() -> None:
    files = members(images.build_archive(BUSYBOX, APPLETS, "amd64"))
    layers = manifest(files, images.HELLO)["layers"]
    # RFC 1952: the modification time is in bytes 4 to 7 of a gzip header.
    assert [blob(files, layer["digest"])[4:8] for layer in layers] == [bytes(4)] * 2


def test_the_layout_is_whole() -> None:
    files = members(images.build_archive(BUSYBOX, APPLETS, "amd64"))
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(data).hexdigest()}"
    for image in images.images():
        found = manifest(files, image.name)
        config = json.loads(blob(files, found["config"]["digest"]))  # type: ignore[call-overload]
        layers = [gzip.decompress(blob(files, layer["digest"])) for layer in found["layers"]]
        digests = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        assert config["rootfs"]["diff_ids"] == digests
        assert config["config"].get("Cmd") or config["config"].get("Entrypoint")


def test_applets_are_links_and_folders_have_their_modes() -> None:
    files = members(images.build_archive(BUSYBOX, APPLETS, "amd64"))
    found = layer_names(files, images.HELLO)
    assert found["bin/sh"].linkname == "busybox"
    assert found["bin/busybox"].isreg()
    assert found["tmp"].mode == 0o1777
    assert (found["www"].uid, found["usr/bin/hello"].mode) == (images.NOBODY, 0o755)
    assert all(member.mtime == 0 and not member.uname for member in found.values())


def elf(segment_type: int) -> bytes:
    """A 64-bit little-endian ELF with one program header of this type."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    header[32:40] = (64).to_bytes(8, "little")
    header[54:58] = (56).to_bytes(2, "little") + (1).to_bytes(2, "little")
    return bytes(header) + segment_type.to_bytes(4, "little") + bytes(52)


def test_only_a_program_with_a_loader_is_dynamic() -> None:
    assert images._is_dynamic(elf(3))
    assert not images._is_dynamic(elf(1))
    assert not images._is_dynamic(STATIC)


def test_a_dynamic_program_comes_with_its_libraries(tmp_path: Path) -> None:
    found = images.busybox_files(Path("/bin/sh").resolve())
    assert found["bin/busybox"] == Path("/bin/sh").read_bytes()
    libraries = {Path(name).name.split(".")[0] for name in found if name != "bin/busybox"}
    assert {"libc", "ld-linux-x86-64"} <= libraries or "ld-linux-aarch64" in libraries


@pytest.mark.needs("busybox")
def test_the_machines_busybox_gives_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.machine_archive() == images.machine_archive()
    monkeypatch.setattr(images, "find_busybox", lambda: None)
    with pytest.raises(CommandError, match="needs busybox"):
        images.machine_archive()


@pytest.mark.needs("busybox")
@pytest.mark.parametrize("script", [images.PAUSE_COMMAND, images.HELLO_SCRIPT])
def test_scripts_are_of_the_shell_they_run_in(script: str) -> None:
    busybox = images.find_busybox()
    done = subprocess.run(
        [str(busybox), "sh", "-n"], input=script, text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
