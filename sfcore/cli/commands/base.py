"""What a command is: a value of what was given, which answers; and how typer makes that value of a command line.

Typer reads the annotations of fields while it runs, inherited ones too, so that no module here postpones them.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from sfcore.cli.console import Answer, show
from sfcore.cli.failures import failures_said
from sfcore.cli.several import SeveralValues


@dataclass(frozen=True, kw_only=True)
class Command(ABC):
    """A call of a command. Its fields are its arguments and options, its docstring is its help."""

    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON and nothing else.")] = False

    @abstractmethod
    def answer(self) -> Answer:
        """Carry it out. What that takes is imported here, so that help does not wait for PyTorch."""


def group(text: str | None, commands: Mapping[str, type[Command]]) -> typer.Typer:
    """Commands that share a name in front of their own, in the order in which help lists them."""
    app = typer.Typer(
        help=text, context_settings={"help_option_names": ["--help", "-h"]}, pretty_exceptions_enable=False
    )
    for name, command in commands.items():
        app.command(name, cls=_Parser)(_own_first(command))
    return app


def _own_first(command: type[Command]) -> type[Command]:
    """Let help list what a command adds before what it shares with others."""
    signature = inspect.signature(command)
    order = [name for each in command.__mro__ for name in inspect.get_annotations(each)]
    parameters = sorted(signature.parameters.values(), key=lambda parameter: order.index(parameter.name))
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


class _Parser(SeveralValues):
    """Makes a command of what was given, and carries it out."""

    def invoke(self, ctx: Any) -> None:
        command: Command = super().invoke(ctx)
        with failures_said():
            answer = command.answer()
            show(answer, command.json)
        raise typer.Exit(answer.code)
