"""What a command tells its user when it cannot do what was asked."""

import os


class CommandError(Exception):
    """One line that says what is wrong and what to do, and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def command_name() -> str:
    """How the user called us: the launcher of a checkout passes on its own name."""
    return os.environ.get("PINNACE_COMMAND", "pinnace")
