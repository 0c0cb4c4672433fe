"""The one error that users meet: it names the bad value, what is allowed, and what to do next."""

from __future__ import annotations

from sfcore.names import printable


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line, complete in itself: the bad value, what is allowed, the next step; names in it are made
    :func:`~sfcore.names.printable`. The command line prints it to stderr and exits non-zero; the app shows it in place.
    """

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def installing(extra: str) -> str:
    """The command that brings the packages of an extra."""
    return f"pip install 'selective-focus-studio[{extra}]'"


DEPLOY = installing("deploy")  # what brings the packages of exporters and engines


def needs_package(error: ImportError, what: str, extra: str = "deploy") -> InputError:
    """What is said where a package of an extra is missing."""
    return InputError(f"{what} needs the package {error.name}, which is not installed: {installing(extra)}")
