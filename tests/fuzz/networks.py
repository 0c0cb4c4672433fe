"""A grammar of small networks, as people write them: parts are drawn, shared, reused, and written in place."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from sfcore.detectors.base import Detector, Head, Outputs, Preprocessing, RoadPoints, even_rows
from sfcore.detectors.layers import MatMul
from sfcore.tasks.base import Prediction
from tests.detectors.small import upright

WIDTH = 8  # channels of every feature map
SIZE = (16, 24)  # of the input


class Standardized(nn.Conv2d):
    """A subclass that changes its weight."""

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return functional.conv2d(input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Named(nn.Conv2d):
    """A subclass that changes nothing."""


class Doubled(nn.Conv2d):
    """A subclass that calls its parent and goes on."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * 2


class FrozenNorm(nn.Module):
    """Batch norm of constants."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(WIDTH))
        self.eps = 1e-5

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


class Impostor(FrozenNorm):
    """Has the statistics of a batch norm, and ignores some."""

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None]


def _hooked() -> nn.Module:
    conv = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
    conv.register_forward_hook(lambda _, __, output: output * 0.5)
    return conv


def _swapping() -> nn.Module:
    conv = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
    conv.register_forward_pre_hook(lambda _, inputs: (inputs[0].flip(-1),) if inputs else None)
    return conv


CONVOLUTIONS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 1),
    "no bias": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, bias=False),
    "grouped": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, groups=4),
    "depthwise": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 2, dilation=2, groups=WIDTH),
    "same": lambda: nn.Conv2d(WIDTH, WIDTH, (3, 2), padding="same"),
    "reflected": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, padding_mode="reflect"),
    "circular": lambda: nn.Conv2d(WIDTH, WIDTH, 3, 1, 1, padding_mode="circular"),
    "replicated": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding="same", padding_mode="replicate"),
    "transposed": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, 1, 1),
    "transposed, grouped": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, 1, 1, groups=2, bias=False),
    "weight norm": lambda: nn.utils.parametrizations.weight_norm(nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)),
    "old weight norm": lambda: nn.utils.weight_norm(nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)),
    "spectral norm": lambda: nn.utils.parametrizations.spectral_norm(nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)),
    "old spectral norm": lambda: nn.utils.spectral_norm(nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)),
    "pruned": lambda: nn.utils.prune.random_unstructured(nn.Conv2d(WIDTH, WIDTH, 3, 1, 1), "weight", 0.3),
    "standardized": lambda: Standardized(WIDTH, WIDTH, 3, 1, 1),
    "named": lambda: Named(WIDTH, WIDTH, 3, 1, 1),
    "doubled": lambda: Doubled(WIDTH, WIDTH, 3, 1, 1),
    "hooked": _hooked,
    "swapping": _swapping,
}
NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: nn.BatchNorm2d(WIDTH),
    "batch, plain": lambda: nn.BatchNorm2d(WIDTH, affine=False),
    "batch, of the batch": lambda: nn.BatchNorm2d(WIDTH, track_running_stats=False),
    "instance": lambda: nn.InstanceNorm2d(WIDTH, affine=True),
    "instance, tracked": lambda: nn.InstanceNorm2d(WIDTH, affine=True, track_running_stats=True),
    "group": lambda: nn.GroupNorm(2, WIDTH),
    "frozen": FrozenNorm,
    "impostor": Impostor,
    "none": nn.Identity,
}
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu in place": lambda: nn.ReLU(inplace=True),
    "hardswish in place": lambda: nn.Hardswish(inplace=True),
    "dropout": lambda: nn.Dropout(0.5, inplace=True),
    "none": nn.Identity,
}


class Part(nn.Module):
    """What maps (B, WIDTH, h, w) to the same shape; ``flow`` says how its layers are put together."""

    def __init__(self, flow: str, convolution: str, norm: str, activation: str) -> None:
        super().__init__()
        self.flow = flow
        self.conv, self.norm, self.act = CONVOLUTIONS[convolution](), NORMS[norm](), ACTIVATIONS[activation]()
        self.other = nn.Conv2d(WIDTH, WIDTH, 1)
        if flow == "alias":
            self.again = self.conv
        if flow == "tied":
            self.other = nn.Conv2d(WIDTH, WIDTH, 3, 1, 1)
            self.other.weight = nn.Parameter(torch.randn(WIDTH, WIDTH, 3, 3) / 8)
        if flow == "plain list":
            self.hidden = [self.conv]
        if flow == "linear":
            self.linear, self.after = nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH)
        if flow == "one dimension":
            self.line, self.after = nn.Conv1d(WIDTH, WIDTH, 3, 1, 1), nn.BatchNorm1d(WIDTH)
        if flow == "attention":
            self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True, add_zero_attn=convolution == "hooked")
        if flow == "encoder":
            self.encoder = nn.TransformerEncoderLayer(WIDTH, 2, 16, batch_first=True, norm_first=convolution == "same")
        if flow == "decoder":
            self.decoder = nn.TransformerDecoderLayer(WIDTH, 2, 16)
        self.product = MatMul()

    def forward(self, x: Tensor) -> Tensor:
        return getattr(self, "_" + self.flow.replace(" ", "_"))(x)

    def _straight(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))

    def _keywords(self, x: Tensor) -> Tensor:
        y = self.conv(input=x)
        return self.act(self.norm(y) if isinstance(self.norm, FrozenNorm) else self.norm(input=y))

    def _skip(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.conv(x)))
        y += x
        return torch.relu_(y)

    def _preskip(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y + self.act(self.norm(y))

    def _between(self, x: Tensor) -> Tensor:
        return self.norm(self.act(self.conv(x)))

    def _written(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y[:, ::2] *= 0.5
        return self.act(self.norm(y))

    def _twice(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(self.act(self.norm(self.conv(x))))))

    def _pyramid(self, x: Tensor) -> Tensor:
        small = self.act(self.norm(self.conv(functional.avg_pool2d(x, 2))))
        return self.act(self.norm(self.conv(x))) + functional.interpolate(small, size=x.shape[2:])

    def _shared_layer(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x))) + self.conv(x.flip(-1))

    def _shared_norm(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)) + self.norm(self.other(x)))

    def _two_norm_calls(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        first, second = self.norm(y), self.norm(y)
        return self.act(first.mul_(0.5) + second)

    def _part_of_it(self, x: Tensor) -> Tensor:
        first, second = self.conv(x).chunk(2, 1)
        return self.act(self.norm(torch.cat([second, first], 1)))

    def _view(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return self.act(self.norm(y.flip(1).flip(1).reshape(y.shape)))

    def _pre_activation(self, x: Tensor) -> Tensor:
        return x + self.other(self.act(self.conv(self.norm(x))))

    def _alias(self, x: Tensor) -> Tensor:
        return self.again(self.act(self.norm(self.conv(x))))

    def _tied(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.other(x))) + functional.conv2d(x, self.other.weight, padding=1)

    def _functional(self, x: Tensor) -> Tensor:
        return self.act(self.norm(functional.conv2d(x, self.other.weight * 2, self.other.bias)))

    def _plain_list(self, x: Tensor) -> Tensor:
        for conv in self.hidden:
            x = self.act(self.norm(conv(x)))
        return x

    def _linear(self, x: Tensor) -> Tensor:
        y = self.linear(x.permute(0, 2, 3, 1))
        pooled = self.after(self.linear(x.mean((2, 3))))
        return self.act(y.permute(0, 3, 1, 2) + pooled[:, :, None, None])

    def _one_dimension(self, x: Tensor) -> Tensor:
        line = self.act(self.after(self.line(x.mean(2))))
        return x + line.unsqueeze(2)

    def _attention(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        mask = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool, device=x.device).triu(1)
        out = self.attention(tokens, key=tokens, value=tokens, attn_mask=mask)[0]
        return self.act(x + out.transpose(1, 2).unflatten(2, x.shape[2:]))

    def _by_hand(self, x: Tensor) -> Tensor:
        tokens = self.other(x).flatten(2)
        weights = (tokens.transpose(1, 2) @ tokens / WIDTH).softmax(-1)
        return x + self.product(tokens, weights).unflatten(2, x.shape[2:])

    def _encoder(self, x: Tensor) -> Tensor:
        return self.encoder(x.flatten(2).transpose(1, 2)).transpose(1, 2).unflatten(2, x.shape[2:])

    def _decoder(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).permute(2, 0, 1)
        queries = tokens.mean(0, keepdim=True).repeat(3, 1, 1)
        return x + self.decoder(queries, memory=tokens).mean(0)[:, :, None, None]

    def _random(self, x: Tensor) -> Tensor:
        return functional.dropout(self.act(self.norm(self.conv(x))), 0.1)

    def _choice(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.conv(x)))
        best = y.mean((2, 3)).argmax(1)
        return y + y[torch.arange(len(y)), best].unsqueeze(1)


FLOWS = [name[1:].replace("_", " ") for name in vars(Part) if name.startswith("_") and not name.startswith("__")]


class Drawn(Detector):
    """Two vertical lanes whose place a drawn network says.

    Args:
        parts: flow, convolution, norm and activation of each part.
        order: which part comes next; a part may come several times.
    """

    heads = (
        Head("logits", "confidence", ("lane",), ("logit",), "logits", "query"),
        Head("column", "semantics", ("x",), ("px",), "logits", "query"),
    )

    def __init__(self, parts: list[tuple[str, str, str, str]], order: list[int], seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.preprocessing = Preprocessing(SIZE, (0.45,) * 3, (0.25,) * 3)
        self.frame = SIZE
        self.register_buffer("rows", even_rows(SIZE[0], 2.0), persistent=False)
        self.stem = nn.Conv2d(3, WIDTH, 3, 2, 1)
        self.parts, self.order = nn.ModuleList(Part(*each) for each in parts), order
        self.classify, self.place = nn.Linear(WIDTH, 2), nn.Linear(WIDTH, 2)
        for module in self.modules():
            if isinstance(getattr(module, "running_var", None), Tensor):
                nn.init.uniform_(module.running_mean, -0.4, 0.4)
                nn.init.uniform_(module.running_var, 0.3, 3.0)
                if module.weight is not None:
                    nn.init.uniform_(module.weight, 0.6, 1.6)
                    nn.init.uniform_(module.bias, -0.3, 0.3)

    def forward(self, images: Tensor) -> Outputs:
        x = torch.relu(self.stem(images))
        for index in self.order:
            x = self.parts[index](x)
        x = x.mean((2, 3))
        return {"logits": self.classify(x).unsqueeze(-1), "column": 12 + 5 * torch.tanh(self.place(x)).unsqueeze(-1)}

    def confidence(self, outputs: Outputs, head: str) -> Tensor:
        return outputs["logits"].sigmoid()

    def decode(self, outputs: Outputs) -> Prediction:
        return upright(outputs["column"], outputs["logits"].sigmoid(), self.rows, self.frame)

    def road_points(self, outputs: Outputs) -> RoadPoints:
        return RoadPoints(outputs["column"].flatten(1), outputs["logits"].detach().sigmoid().flatten(1))


@st.composite
def networks(draw: st.DrawFn) -> Drawn:
    """One to four parts, run in any order."""
    part = st.tuples(*map(st.sampled_from, (FLOWS, sorted(CONVOLUTIONS), sorted(NORMS), sorted(ACTIVATIONS))))
    parts = draw(st.lists(part, min_size=1, max_size=4))
    order = draw(st.lists(st.integers(0, len(parts) - 1), min_size=1, max_size=5))
    return Drawn(parts, order, draw(st.integers(0, 999))).eval()
