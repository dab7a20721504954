"""`pinnace COMMAND`: finds the command in a table and runs it.

A command's module is imported only when it is asked for: a daemon must not carry the others'
memory, and `pinnace status` must not wait for them.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cluster.errors import CommandError, command_name

USAGE_ERROR = 2


@dataclass(frozen=True)
class Command:
    """Where a command's `main(argv) -> exit code` is, and what it does in a few words."""

    entry: str
    summary: str
    needs_root: bool = False


COMMANDS = {
    "demo": Command("cluster.demo:main", "start a cluster, deploy a web service, call it", True),
    "up": Command("cluster.up:main", "start a single-node cluster, or what of it is down", True),
    "down": Command("cluster.down:main", "stop the daemons; containers keep running", True),
    "status": Command("cluster.status:main", "what runs, and whether the node is ready", True),
    "kubeconfig": Command("cluster.status:kubeconfig", "print the path of the kubeconfig"),
    "reset": Command("cluster.reset:main", "stop everything and remove all that is ours", True),
    "test": Command("cluster.testing:main", "run every test that this machine can run"),
    "raftstore": Command("raftstore.daemon.main:main", "run a member of the replicated store"),
    "store": Command("raftstore.operations.main:main", "back up, restore, rescue, copy a store"),
    "controlplane": Command("controlplane.main:main", "run the control plane in the foreground"),
    "nodeagent": Command("nodeagent.main:main", "run the node's agent in the foreground"),
    "netproxy": Command("netproxy.main:main", "run the service proxy in the foreground"),
    "version": Command("cluster.main:version", "print the version"),
    "help": Command("cluster.main:help_", "print this"),
}
ALIASES = {"--help": "help", "-h": "help", "--version": "version"}


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point: runs the command that `argv` names; returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv) or ["help"]
    name = ALIASES.get(arguments[0], arguments[0])
    try:
        return _run(name, arguments[1:])
    except CommandError as error:
        print(f"pinnace {name}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"pinnace {name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has seen enough; keep Python from telling them so at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS.get(name)
    if command is None:
        print(f"pinnace: no command {name!r}; see {command_name()} help", file=sys.stderr)
        return USAGE_ERROR
    asks_help = "-h" in arguments or "--help" in arguments
    if command.needs_root and os.geteuid() != 0 and not asks_help:
        raise CommandError(f"needs root, try: sudo {command_name()} {name}")
    module, _, function = command.entry.partition(":")
    run: Callable[[list[str]], int] = getattr(importlib.import_module(module), function)
    return run(arguments)


def version(_arguments: list[str]) -> int:
    from base.version import VERSION

    print(VERSION)
    return 0


def help_(_arguments: list[str]) -> int:
    width = max(map(len, COMMANDS))
    print("pinnace: Kubernetes' job, done in Python.\n\nusage: pinnace COMMAND [FLAGS]\n")
    for name, command in COMMANDS.items():
        print(f"  {name:{width}}  {command.summary}")
    print("\npinnace COMMAND --help tells a command's flags.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
