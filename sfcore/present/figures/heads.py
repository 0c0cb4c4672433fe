"""What a head puts out, as a picture: a heat map over the frame for grids, a table of bars for queries."""

from __future__ import annotations

from html import escape

import numpy as np
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Image, Outputs
from sfcore.drawing import heat_over

MOST_ROWS, MOST_COLUMNS = 10, 8  # of a table that people read


def channels_last(head: Head, output: Tensor) -> np.ndarray:
    """One image's output of a query or image head as (queries, channels)."""
    rows = output.detach().float().cpu().numpy()
    return rows.reshape(-1, rows.shape[-1])


def confidence_map(detector: Detector, outputs: Outputs, name: str) -> np.ndarray:
    """(h, w) in [0, 1]: the confidence that belongs to a grid head, over all its channels."""
    return detector.confidence(outputs, name)[0].detach().float().amax(0).cpu().numpy()


def magnitude(output: Tensor) -> np.ndarray:
    """(C, H, W) to (H, W): the length of the vector of channels in each cell."""
    return output.detach().float().square().sum(0).sqrt().cpu().numpy()


def head_picture(image: Image, detector: Detector, outputs: Outputs, head: Head) -> Image:
    """A grid head over the frame.

    A confidence is shown as it is, and so are semantics that are scores themselves; others as their magnitude,
    weighted by the confidence that says where they are used.
    """
    if _is_score(head):
        return confidence_picture(image, detector, outputs, head.name)
    weighted = magnitude(outputs[head.name][0]) * confidence_map(detector, outputs, head.name)
    spec = detector.preprocessing
    return heat_over(image, spec.laid(weighted), colours="magma", cut=spec.top)


def _is_score(head: Head) -> bool:
    """The length of a vector of logits means nothing; the probability that they make does."""
    return head.role == "confidence" or head.units[0] == "logit"


def head_scale(detector: Detector, outputs: Outputs, head: Head) -> str:
    """What the brightness of :func:`head_picture` means, in one line."""
    if _is_score(head):
        return "The confidence: dark 0, bright 1."
    weighted = magnitude(outputs[head.name][0]) * confidence_map(detector, outputs, head.name)
    channels = ", ".join(head.channels) if len(head.channels) <= MOST_COLUMNS else f"{len(head.channels)} channels"
    return f"Length of ({channels}) times its confidence. Brightest: {weighted.max():.1f} {head.units[0]}s."


def confidence_picture(image: Image, detector: Detector, outputs: Outputs, name: str) -> Image:
    """The confidence that belongs to a grid head, over the frame: dark 0, bright 1."""
    spec = detector.preprocessing
    return heat_over(image, spec.laid(confidence_map(detector, outputs, name)), top=1.0, cut=spec.top)


def query_table(detector: Detector, outputs: Outputs, head: Head) -> str:
    """A query or image head as an HTML table: confidence as a bar, values beside it, unused rows faint.

    A query is a row; of an image head with a confidence for each channel, a channel is. Of many, the most
    confident are shown, in their order.
    """
    values = channels_last(head, outputs[head.name][0])
    confidence = detector.confidence(outputs, head.name)[0].detach().float().flatten().cpu().numpy()
    names, columns = [str(i + 1) for i in range(len(values))], list(head.channels)
    if head.layout == "image":
        names = ["all"]
        if confidence.size == len(head.channels) > 1:
            values, names, columns = values.T, columns, ["value"]
    confidence = np.resize(confidence, len(values))
    shown = np.sort(np.argsort(-confidence, kind="stable")[:MOST_ROWS])
    hidden = len(columns) - MOST_COLUMNS
    titles = [*columns[:MOST_COLUMNS], *([f"and {hidden} more"] if hidden > 0 else [])]
    cells = "".join(f"<th>{escape(name)}</th>" for name in titles)
    body = "".join(_row(names[i], float(confidence[i]), values[i][:MOST_COLUMNS]) for i in shown)
    rest = f"{len(values) - len(shown)} less confident ones are not shown" if len(shown) < len(values) else ""
    first = "Query" if head.layout == "query" else "Channel" if len(names) > 1 else "Image"
    return (
        f'<div class="sf-wide"><table class="sf-heads"><thead><tr><th>{first}</th><th class="bar">Confidence</th>'
        f"{cells}</tr></thead>"
        f'<tbody>{body}</tbody></table></div><p class="sf-note">{rest}</p>'
    )


def _row(name: str, confidence: float, values: np.ndarray) -> str:
    cells = "".join(f"<td>{float(v):.3f}</td>" for v in values)
    bar = (
        f'<span class="track"><span class="fill" style="width:{100 * confidence:.0f}%"></span></span>'
        f"<span>{100 * confidence:.0f} %</span>"
    )
    faint = "" if confidence >= 0.5 else ' class="faint"'
    return f'<tr{faint}><td>{escape(name)}</td><td class="bar">{bar}</td>{cells}</tr>'
