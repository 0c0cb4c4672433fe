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


DEPLOY = "pip install 'selective-focus-studio[deploy]'"  # what brings the packages of exporters and engines


def needs_package(error: ImportError, what: str) -> InputError:
    """What is said where a package of the extra "deploy" is missing."""
    return InputError(f"{what} needs the package {error.name}, which is not installed: {DEPLOY}")
