"""Container logs kept from filling the disk: 10 MiB a file, five files a container.

Source: the kubelet's `ContainerLogManager` and its defaults. The present file keeps its name; an
older one carries the time of its end, and all but the newest of those are compressed.
"""

import asyncio
import gzip
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

from base.clock import Clock
from nodeagent.cri import CriClient, RuntimeServiceError
from nodeagent.pods.runtime_state import ContainerRecord
from nodeagent.runtime_reader import RuntimeReader

log = logging.getLogger(__name__)

PERIOD_S = 10.0
MAX_SIZE_BYTES = 10 << 20
MAX_FILES = 5


class LogRotator:
    """Looks at the logs of running containers every ten seconds."""

    def __init__(self, reader: RuntimeReader, cri: CriClient, clock: Clock) -> None:
        self._reader = reader
        self._cri = cri
        self._clock = clock

    async def run(self) -> None:
        while True:
            await self._clock.sleep(PERIOD_S)
            for runtime in list(self._reader.pods.values()):
                for container in runtime.containers:
                    if container.running and _size_bytes(container) > MAX_SIZE_BYTES:
                        await self._rotate(container)

    async def _rotate(self, container: ContainerRecord) -> None:
        path = Path(container.log_path)
        ended = datetime.fromtimestamp(self._clock.now_s(), UTC).strftime("%Y%m%d-%H%M%S")
        rotated = path.with_name(f"{path.name}.{ended}")
        try:
            await asyncio.to_thread(tidy, path)
            path.rename(rotated)  # noqa: ASYNC240 (a rename does not wait for the disk)
            try:
                await self._cri.reopen_log(container.id)
            except RuntimeServiceError:
                # The runtime goes on writing to the file it has open: give it back its name.
                rotated.rename(path)
                raise
        except (OSError, RuntimeServiceError) as error:
            log.warning("log of container %s not rotated: %s", container.name, error)


def tidy(path: Path) -> None:
    """Make room beside the log at `path` for one more rotated file, and compress the older."""
    rotated = sorted(p for p in path.parent.glob(f"{path.name}.*") if p.suffix != ".tmp")
    # The present file, and the one that it is about to become.
    for old in rotated[: max(0, len(rotated) - (MAX_FILES - 2))]:
        old.unlink(missing_ok=True)
        rotated.remove(old)
    for old in rotated:
        if old.suffix != ".gz":
            _compress(old)


def _compress(path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    with path.open("rb") as plain, gzip.open(temporary, "wb", compresslevel=1) as packed:
        shutil.copyfileobj(plain, packed)
    temporary.replace(path.with_name(f"{path.name}.gz"))
    path.unlink()


def _size_bytes(container: ContainerRecord) -> int:
    try:
        return Path(container.log_path).stat().st_size
    except OSError:
        return 0
