"""The one error that users meet: it names the bad value, what is allowed, and what to do next."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user gave cannot be used.

    The message is one line, complete in itself: the bad value, what is allowed, the next step.
    The command line prints it to stderr and exits non-zero; the app shows it in place.
    """
