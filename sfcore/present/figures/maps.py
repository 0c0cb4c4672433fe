"""Element maps over the frame, and which elements of a head a place on the picture belongs to."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import torch
from torch import Tensor

from sfcore.detectors.base import Detector, Head, Image
from sfcore.drawing import colour_map, heat_over
from sfcore.present.figures.charts import Figure, plain
from sfcore.sensitivity.elements import Box, box_mask

MOST_ROWS, MOST_COLUMNS = 14, 20
# The darkest stop of Plotly's own "Inferno" is a value that Streamlit's theme takes for a placeholder.
_SCALE = [[i / 8, "rgb({},{},{})".format(*colour_map(np.array(0.03 + 0.97 * i / 8), "inferno"))] for i in range(9)]


def element_picture(image: Image, detector: Detector, sensitivity: Tensor) -> Image:
    """The element map of a grid head over the frame; channels are added.

    Brightness grows with the root of the distortion, up to :func:`brightest`: a few cells can outweigh all others.
    """
    share = cell_sums(sensitivity) / max(brightest(sensitivity), 1e-9)
    spec = detector.preprocessing
    return heat_over(image, spec.laid(np.sqrt(share)), colours="inferno", top=1.0, cut=spec.top, cells=True)


def cell_sums(sensitivity: Tensor) -> np.ndarray:
    """(H, W): the distortions of each cell's channels, added."""
    return sensitivity.sum(0).cpu().numpy()


def brightest(sensitivity: Tensor) -> float:
    """The distortion that is drawn brightest: all but 2 % of the sensitive cells stay under it."""
    sums = cell_sums(sensitivity)
    return float(np.quantile(sums[sums > 0], 0.98)) if (sums > 0).any() else 0.0


def element_cells(head: Head, sensitivity: Tensor, confidence: Tensor, chosen: int | None = None) -> Figure:
    """The element map of a query or image head as cells: one row a query, one column a channel.

    The most sensitive query comes first. Of many the first are shown, and the chosen one after them.

    Args:
        confidence: of each query, (Q,), written beside its name.
    """
    values = sensitivity.reshape(-1, sensitivity.shape[-1]).cpu().numpy()
    shown = np.argsort(-np.nansum(values, 1), kind="stable")[:MOST_ROWS].tolist()
    if chosen is not None and chosen not in shown:
        shown.append(chosen)
    rows = [f"query {i + 1} · {100 * float(confidence[i]):.0f} %" for i in shown]
    values = values[shown]
    wide = len(head.channels) > MOST_COLUMNS  # too narrow cells for numbers
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=list(head.channels),
            y=rows if head.layout == "query" else ["image"],
            text=[["" if wide or np.isnan(v) else f"{v:.2f}" for v in row] for row in values],
            texttemplate="%{text}",
            colorscale=_SCALE,
            zmin=0,
            xgap=0 if wide else 2,
            ygap=2,
            showscale=wide,
            colorbar={"title": {"text": "distortion"}, "thickness": 12},
            hovertemplate="%{y}, %{x}: distortion %{z:.3f}<extra></extra>",
        )
    )
    plain(figure, 90 + 34 * len(shown))
    figure.update_yaxes(autorange="reversed", showgrid=False)
    figure.update_xaxes(showgrid=False, side="top")
    if chosen is not None:
        row, right = shown.index(chosen), len(head.channels) - 0.5
        figure.add_shape(type="rect", x0=-0.5, x1=right, y0=row - 0.5, y1=row + 0.5, line={"width": 3})
    return figure


def picked_mask(detector: Detector, head: Head, shape: torch.Size, picked: Box) -> Tensor:
    """(1, 1, H, W) bool: the cells of a grid head under a rectangle in shares of the whole canvas.

    A rectangle smaller than a cell, such as a point, takes the cell that holds its centre.
    """
    height, width = detector.preprocessing.size
    top, stride = detector.preprocessing.top, head.stride or 1
    left, upper, right, lower = picked
    box = [left * width, (upper - top) / (1 - top) * height, right * width, (lower - top) / (1 - top) * height]
    for low, high, count in ((0, 2, shape[-1]), (1, 3, shape[-2])):
        if int(box[low] // stride) == int(box[high] // stride) or box[high] - box[low] < stride:
            cell = min(max(int((box[low] + box[high]) / 2 // stride), 0), count - 1)
            box[low], box[high] = cell * stride, (cell + 1) * stride
    mask = box_mask(head, shape, (box[0], box[1], box[2], box[3]))
    return torch.from_numpy(detector.preprocessing.laid(mask[0, 0].numpy()).copy()).reshape(mask.shape)
