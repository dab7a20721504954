"""One line per event on standard error: time, level, component, message, key=value pairs.

The supervisor or the journal keeps the lines; a daemon never opens a log file. Values of Secrets
and tokens are never passed to a logger.
"""

import logging
import sys
from datetime import UTC, datetime


class _LineFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        line = f"{when}Z {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def setup(verbosity: int = 2) -> None:
    """Log to standard error; `verbosity` is Kubernetes' `-v`: 4 and above shows debug lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if verbosity >= 4 else logging.INFO)
    for chatty in ("asyncio", "aiohttp.access", "grpc"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
