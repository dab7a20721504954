"""What this machine is and has, read from /proc, /sys and /etc."""

import os
import platform
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "i686": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}


@dataclass(frozen=True)
class MachineFacts:
    """What does not change while the machine runs."""

    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str
    cpus: int
    memory_bytes: int
    disk_bytes: int
    swap_bytes: int
    huge_pages: dict[str, int]


@dataclass(frozen=True)
class Pressure:
    """What is left, now."""

    memory_available_bytes: int
    disk_available_bytes: int
    disk_total_bytes: int
    inodes_free: int
    inodes_total: int
    processes: int
    processes_max: int


def read_machine(root_dir: Path) -> MachineFacts:
    """Raises OSError where /proc cannot be read."""
    memory = parse_meminfo(Path("/proc/meminfo").read_text())
    return MachineFacts(
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=os_image(_text("/etc/os-release")),
        machine_id=_text("/etc/machine-id") or _text("/var/lib/dbus/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid").lower(),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
        cpus=os.cpu_count() or 1,
        memory_bytes=memory["MemTotal"],
        disk_bytes=shutil.disk_usage(root_dir).total,
        swap_bytes=memory.get("SwapTotal", 0),
        huge_pages=huge_pages(Path("/sys/kernel/mm/hugepages")),
    )


def read_pressure(root_dir: Path) -> Pressure:
    memory = parse_meminfo(Path("/proc/meminfo").read_text())
    disk = os.statvfs(root_dir)
    return Pressure(
        memory_available_bytes=memory.get("MemAvailable", memory["MemTotal"]),
        disk_available_bytes=disk.f_bavail * disk.f_frsize,
        disk_total_bytes=disk.f_blocks * disk.f_frsize,
        inodes_free=disk.f_favail,
        inodes_total=disk.f_files,
        processes=_processes(_text("/proc/loadavg")),
        processes_max=int(_text("/proc/sys/kernel/pid_max") or 32768),
    )


def parse_meminfo(text: str) -> dict[str, int]:
    """Bytes by name; lines without a unit (counts) are left out."""
    found = re.findall(r"^(\w+):\s+(\d+) kB$", text, re.M)
    return {name: int(amount) * 1024 for name, amount in found}


def os_image(os_release: str) -> str:
    match = re.search(r'^PRETTY_NAME="?(.*?)"?$', os_release, re.M)
    return match.group(1) if match else "Linux"


def huge_pages(folder: Path) -> dict[str, int]:
    """Bytes set aside per page size, by resource name (hugepages-2Mi)."""
    found = {}
    for entry in sorted(folder.glob("hugepages-*kB")) if folder.is_dir() else ():
        size_kib = int(entry.name.removeprefix("hugepages-").removesuffix("kB"))
        count = int(_text(str(entry / "nr_hugepages")) or 0)
        found[f"hugepages-{_binary(size_kib)}"] = count * size_kib * 1024
    return found


def default_route_ip() -> str:
    """The address that traffic to elsewhere leaves from; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def _binary(size_kib: int) -> str:
    for suffix, size in (("Gi", 1024 * 1024), ("Mi", 1024)):
        if size_kib % size == 0:
            return f"{size_kib // size}{suffix}"
    return f"{size_kib}Ki"


def _processes(loadavg: str) -> int:
    match = re.search(r"\d+/(\d+)", loadavg)
    return int(match.group(1)) if match else 0


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
