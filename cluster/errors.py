"""What a command tells its user when it cannot do what was asked."""


class CommandError(Exception):
    """One line that says what is wrong and what to do, and the exit code that goes with it."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
