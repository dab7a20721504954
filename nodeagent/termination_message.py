"""A container's last words: its termination message file, or the end of its log.

Source: Kubernetes' "Determine the Reason for Pod Failure"; limits of the kubelet's
`getTerminationMessage`.
"""

from pathlib import Path

MAX_FILE_BYTES = 4096
MAX_LOG_BYTES = 2048
MAX_LOG_LINES = 80
# A CRI log line carries time, stream and tag in front; enough to hold MAX_LOG_BYTES of content.
_LOG_WINDOW_BYTES = 16 * 1024


def read_termination_message(file: Path | None, log: Path | None, runtime_message: str) -> str:
    """From `file`, else from the end of `log` where given, else what the runtime said."""
    text = _head(file) if file is not None else ""
    if not text and log is not None:
        text = _log_tail(log)
    if runtime_message and text:
        return f"{runtime_message}: {text}"
    return text or runtime_message


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _log_tail(path: Path) -> str:
    try:
        with path.open("rb") as file:
            size_bytes = file.seek(0, 2)
            file.seek(max(0, size_bytes - _LOG_WINDOW_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    contents = [content for line in lines if (content := _content(line)) is not None]
    text = "\n".join(contents[-MAX_LOG_LINES:]) + "\n" if contents else ""
    return text[-MAX_LOG_BYTES:]


def _content(line: str) -> str | None:
    """The text of a CRI log line `time stream tag text`; None for a line that was cut off."""
    parts = line.split(" ", 3)
    return parts[3] if len(parts) == 4 and parts[1] in ("stdout", "stderr") else None
