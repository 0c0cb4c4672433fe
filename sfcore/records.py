"""Typed records: what is read from files and forms is checked by type, and what is wrong is said by field."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from sfcore.errors import InputError

T = TypeVar("T")
STRICT = ConfigDict(strict=True, extra="forbid")
OPEN = ConfigDict(strict=True, extra="allow")  # of records to which later versions may add fields

# JSON has lists only: where a record holds a tuple, a list is as good.
AsTuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)


@dataclass_transform(frozen_default=True)
def record(what: str) -> Callable[[type[T]], type[T]]:
    """Decorator: the class is a frozen dataclass whose values are checked when one is made.

    Args:
        what: what it is called in messages.

    Raises:
        InputError: made with a value of a wrong type, or with an unknown or missing field; the message names it.
    """

    def make(cls: type[T]) -> type[T]:
        checked: Any = dataclass(frozen=True, config=STRICT)(cls)
        plain = checked.__init__

        @wraps(plain)
        def refusing(self: Any, *args: Any, **fields: Any) -> None:
            try:
                plain(self, *args, **fields)
            except ValidationError as error:
                raise InputError(f"{what}: {said(error)}") from error

        checked.__init__ = refusing
        return checked

    return make


def checked(adapter: TypeAdapter[T], content: Any, what: str) -> T:
    """``content`` as the record that an adapter is of.

    Raises:
        InputError: a value is of a wrong type, or a field is missing; the message begins with ``what`` and names it.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise InputError(f"{what}: {said(error)}") from error


def said(error: ValidationError) -> str:
    """What is wrong with a record, field by field, in one line."""
    return "; ".join(_said(dict(each)) for each in error.errors(include_url=False)[:3])


def _said(one: dict[str, Any]) -> str:
    place = ".".join(str(part) for part in one["loc"]) or "it"
    wanted = one["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if one["type"] in ("missing", "missing_argument"):
        return f"{place} is missing"
    if one["type"].startswith("union_tag"):
        return "it is of no known type"
    if one["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"there is no field {place}"
    return f"{place} = {one['input']!r}: it must be {wanted}"
