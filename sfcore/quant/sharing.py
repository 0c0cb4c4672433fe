"""Which activation quantizers must have the same bits where an engine holds every tensor once.

Activations are rounded at the inputs of layers, each by a quantizer of its own. An engine of integers rounds a tensor
when it writes it: all that read the tensor then read the same integers, and what is added or put side by side has the
same bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from torch import Tensor, nn

from sfcore.detectors.base import Detector
from sfcore.quant.flow import Memory, Observer, Operation, Visit, memories, observe
from sfcore.quant.quantizers import full_precision, quantizers

Thing = int | str  # a tensor by its number, or a quantizer by its name
# Operations by ATen's names, without the underscore of those in place. Of torch's own, others consist of these.
SUMS = frozenset({"add", "sub", "rsub", "index_add", "scatter_add"})
COPIES = frozenset(
    {
        "clone", "copy", "cat", "stack", "repeat", "flip", "rot90", "roll", "index", "_unsafe_index", "index_select",
        "gather", "take", "index_put", "_unsafe_index_put", "_index_put_impl", "scatter", "masked_scatter",
        "slice_scatter", "select_scatter", "diagonal_scatter", "as_strided_scatter", "constant_pad_nd", "im2col",
        "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "native_channel_shuffle",
    }
)  # fmt: skip
COPIES_OF_ALL_RANKS = ("reflection_pad", "replication_pad", "upsample_nearest", "_upsample_nearest")


def sharing(model: Detector, images: Tensor) -> list[frozenset[str]]:
    """Groups of activation quantizers that must have the same bits on hardware, from one pass in full precision.

    These tie:

    - Quantizers that read the same tensor. Views show the tensor that they are views of. What only copies values is
      that tensor too: a clone, a reshape or transpose that copies, what is chosen by index, repetition, shuffles,
      shifts, mirror images, padding, enlargement to the nearest. So is what is written into parts of a tensor.
    - The inputs of a sum or difference, with each other. The result is another tensor, in place as well.
    - The inputs of a concatenation or stack, with each other and with the result, which holds copies of them.
    - The tensors that one quantizer reads in several calls.

    In sums and copies only what is computed from ``images`` counts: a parameter or constant that is added (a bias, an
    embedding of positions) or put beside an activation ties nothing, as an engine may hold it several times, in
    different bits. The sums inside of products are none. All other operations (activation functions, pooling, norms,
    elementwise products, interpolation) make another tensor of what they read, or change it in place, which leaves it
    the same tensor.

    Args:
        model: a converted detector, calibrated or not.
        images: preprocessed, on the model's device; what is not called for them is in no group.

    Returns:
        Groups of two or more names, as :func:`sfcore.quant.quantizers.quantizers` has them, no name in two of them,
        by the first name of each.
    """
    readers: dict[nn.Module, str] = {q: name for name, q in quantizers(model) if not name.endswith("weight_quantizer")}
    ties = _Ties(readers, images)
    with full_precision(model):
        observe(model, images, ties)
    return sorted(ties.groups(), key=sorted)


class _Ties(Observer):
    """What is tied in a pass.

    Attributes:
        readers: quantizers with their names.
        tied: everything that is tied to a thing, itself included.
        held: the tensor that a memory holds at present.
        computed: tensors that come from the images. Whole numbers and truths end the way: what they choose is not
            computed from them.
    """

    def __init__(self, readers: Mapping[nn.Module, str], images: Tensor) -> None:
        super().__init__()
        self.readers, self.numbers = readers, count()
        self.tied: dict[Thing, set[Thing]] = {}
        self.held: dict[Memory, int] = {}
        self.computed = set(self.tensors([images]))

    def groups(self) -> list[frozenset[str]]:
        """The names that are tied to others."""
        different = {id(things): things for things in self.tied.values()}.values()
        names = [frozenset(thing for thing in things if isinstance(thing, str)) for things in different]
        return [group for group in names if len(group) > 1]

    def tensors(self, shown: Sequence[Tensor]) -> list[int]:
        """The tensors of floating-point numbers that are shown."""
        known = memories([tensor for tensor in shown if tensor.is_floating_point()])
        return [self.held.setdefault(memory, next(self.numbers)) for memory in known]

    def tie(self, things: Sequence[Thing]) -> None:
        """Tie things, and all that is tied to them, to each other."""
        together = set(things).union(*(self.tied.get(thing, ()) for thing in things))
        self.tied |= dict.fromkeys(together, together)

    def entered(self, visit: Visit) -> None:
        if visit.module in self.readers:
            self.tie([self.readers[visit.module], *self.tensors(visit.inputs)])

    def happened(self, operation: Operation) -> None:
        name = operation.name.removesuffix("_")
        read = [tensor for tensor in self.tensors(operation.reads) if tensor in self.computed]
        if name in SUMS:
            self.tie(read)
            self.renew(operation.writes)
        made = self.tensors([*operation.results, *operation.writes])
        if read and _copies(name):
            self.tie([*read, *made])
        if read and not name.endswith("_like") and not name.startswith("new_"):
            self.computed.update(made)

    def renew(self, written: Sequence[Tensor]) -> None:
        """From now on memory that was written as a whole holds another tensor."""
        for tensor in written:
            for memory in memories([tensor]):
                if tensor.nbytes == tensor.untyped_storage().nbytes():
                    self.held[memory] = next(self.numbers)


def _copies(name: str) -> bool:
    """Whether an operation copies values and does nothing else; what ends in _copy are copies of what views show."""
    return name in COPIES or name.endswith("_copy") or name.startswith(COPIES_OF_ALL_RANKS)
