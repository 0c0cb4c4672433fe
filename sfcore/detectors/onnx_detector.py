"""A detector whose network is an .onnx file; what its outputs mean is said by a subclass."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Outputs
from sfcore.detectors.onnx_network import read_graph
from sfcore.errors import InputError

_TRIED = 3  # images in the batch on which it is tried whether images in one keep apart


class OnnxDetector(Detector):
    """A detector from an .onnx file.

    A subclass sets ``heads`` and ``preprocessing`` in its class and implements :meth:`confidence`, :meth:`decode` and
    what its task asks beside. It is registered with its file, which holds its weights:
    ``@register("name", network=FILE)``. Layers have the names of their weights in the file, else those of their nodes.

    Args:
        file: the .onnx file.
        outputs: of each head, by its name, the name of the output in the file.
        input: the name that the file's input must have; any where nothing is said.

    Attributes:
        one_by_one: whether the images of a batch are computed one after the other, for the file tells them apart in no
            other way.

    Raises:
        InputError: the file cannot be read, ``outputs`` names other heads than the table or outputs that the file has
            not, its input has another name or size, or an operator is not known; the message says which.
    """

    def __init__(self, file: Path, outputs: Mapping[str, str], input: str | None = None) -> None:
        super().__init__()
        heads = [head.name for head in self.heads]
        if sorted(heads) != sorted(outputs):
            raise InputError(
                f"{type(self).__name__} names outputs of {file.name} for the heads {', '.join(outputs) or 'none'}, and "
                f"its table of heads has {', '.join(heads)}: name one output for each"
            )
        self._output_of = {name: outputs[name] for name in heads}
        with torch.device("cpu"):
            examples = self.preprocessing.example(_TRIED, torch.Generator().manual_seed(0))
            inputs = self.preprocessing.normalize(examples)
        self._graph = read_graph(file, inputs, list(self._output_of.values()), input)
        self._graph.install(self)
        if not any(True for _ in self.parameters()):
            raise InputError(f"{file} has no weights: a network that was trained is expected")

    @property
    def one_by_one(self) -> bool:
        return self._graph.apart

    def forward(self, inputs: Tensor) -> Outputs:
        """The outputs of the file by the heads' names, as they are; a subclass may bring them into a head's layout."""
        found = self._graph(inputs)
        return {head: found[name] for head, name in self._output_of.items()}
