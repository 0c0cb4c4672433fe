"""The commands: what each is asked with. What it does is in the module of the same name in :mod:`sfcore.cli`."""

from typing import Annotated

import typer

import sfcore
from sfcore.cli.commands import evaluate, runs
from sfcore.cli.commands.allocate import Allocate
from sfcore.cli.commands.app import App
from sfcore.cli.commands.base import group
from sfcore.cli.commands.bench import Bench
from sfcore.cli.commands.check_detector import CheckDetector
from sfcore.cli.commands.compare import Compare
from sfcore.cli.commands.curves import MeasureCurves
from sfcore.cli.commands.deploy_check import DeployCheck
from sfcore.cli.commands.detect import Detect
from sfcore.cli.commands.detectors import Detectors
from sfcore.cli.commands.distil import Distil
from sfcore.cli.commands.export import Export
from sfcore.cli.commands.layers import Layers
from sfcore.cli.commands.report import Report
from sfcore.cli.commands.scenes import Scenes
from sfcore.cli.commands.search import SearchValues
from sfcore.cli.commands.tune import Tune

app = group(
    sfcore.__doc__,
    {
        "detectors": Detectors,
        "check-detector": CheckDetector,
        "detect": Detect,
        "curves": MeasureCurves,
        "layers": Layers,
        "allocate": Allocate,
        "tune": Tune,
        "scenes": Scenes,
        "distil": Distil,
        "compare": Compare,
        "report": Report,
        "export": Export,
        "deploy-check": DeployCheck,
        "bench": Bench,
        "search": SearchValues,
        "app": App,
    },
)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(runs.app, name="runs")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"sfcore {sfcore.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    pass
