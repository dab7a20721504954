"""Tells systemd that the daemon is ready (sd_notify(3), `Type=notify`); elsewhere does nothing."""

import os
import socket


def tell(state: str) -> None:
    """`state` is `READY=1`, `STOPPING=1`, ..."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A leading @ stands for the zero byte of an abstract socket.
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
        out.connect(address)
        out.sendall(state.encode())
