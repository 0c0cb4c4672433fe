"""Layers: what each layer's quantization does to the prediction, and bits chosen where it needs them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app import calibration, style
from app.displays import chart, clicked_point, picture
from app.layer_bits import LayerBits, Study, as_code, bits_of, block_of, from_code, in_scheme, tune_query
from app.session import Studio, forget_unknown, studio
from app.widgets.layer_list import Row, as_selection, as_text, layer_list
from app.widgets.links import keep, recall
from sfcore.errors import InputError
from sfcore.present.figures.fronts import front_chart
from sfcore.quant.allocation import WIDTHS as FINE
from sfcore.quant.allocation import Constraints
from sfcore.quant.budget import Budget
from sfcore.quant.front import Axis
from sfcore.quant.scheme import Scheme
from sfcore.quant.sensitivities import Sensitivities

CODE, OWN, SELECTED, BEFORE = "l_bits", "l_own", "l_layers", "layer bits before"  # the last in the session alone
START, STARTS = "W4A4", ("W8A8", "W6A6", "W4A4")
EVERY, OF_HEADS = "all blocks", "heads"
WIDTHS = (2, 3, 4, 5, 6, 8, 16)  # to choose from by hand
HARDWARE = {"4, 8, 16 bits": (4, 8, 16), "3 to 16 bits": FINE}
UNITS = {"average bits": "bit", "% of W4A4's bit operations": "%bops@W4A4", "% of W8A8's size": "%size@W8A8"}
USUAL = {"bit": 4.5, "%bops@W4A4": 120.0, "%size@W8A8": 55.0}
AXES: dict[str, Axis] = {"Bit operations": "bops", "Size": "size"}
LIST_HEIGHT = 500


def present_bits(study: Study) -> LayerBits:
    """The bits that the link holds; uniform ones where it holds none of this detector."""
    found = from_code(recall(CODE), study.layers)
    if found is None:
        found = bits_of(study.profile, Scheme.parse(START))
        keep(CODE, as_code(found))
        keep(OWN, None)
    return found


def put(bits: LayerBits, own: Sequence[int] | None = None) -> None:
    """Choose bits; what was chosen before can be had back."""
    st.session_state.setdefault(BEFORE, []).append((st.session_state.get(CODE), st.session_state.get(OWN)))
    keep(CODE, as_code(bits))
    if own is not None:
        keep(OWN, as_text(own) or None)


def undo() -> None:
    """Go back to what was chosen before."""
    if kept := st.session_state.get(BEFORE):
        code, own = kept.pop()
        keep(CODE, code)
        keep(OWN, own)


def own_layers(study: Study) -> list[int]:
    """The layers whose bits were set by hand."""
    return as_selection(recall(OWN), len(study.layers))


def filters(study: Study) -> tuple[list[int], int]:
    """Which layers are listed, and the bits that the bars are of."""
    first, second = st.columns(2, gap="small")
    blocks = list(dict.fromkeys(block_of(layer.name) for layer in study.layers))
    names = [EVERY, OF_HEADS, *filter(None, blocks)]
    forget_unknown("l_block", names)
    block = first.selectbox("Show", names, key="l_block", bind="query-params", help="A block of the network.")
    bits = second.selectbox(
        "Bars at", WIDTHS, index=WIDTHS.index(4), key="l_at", bind="query-params", format_func=lambda b: f"{b} bits",
        help="The bars are the distortion that each layer's weights, and its activations, cause alone at so many "
        "bits, all else in full precision.",
    )  # fmt: skip
    shown = [
        place for place, layer in enumerate(study.layers)
        if block == EVERY or (layer.head if block == OF_HEADS else block_of(layer.name) == block)
    ]  # fmt: skip
    return shown, int(bits)


def rows(study: Study, bits: LayerBits, shown: Sequence[int], harm: Sensitivities, at: int) -> list[Row]:
    """The list's rows."""
    own, found = set(own_layers(study)), []
    for place in shown:
        layer = study.layers[place]
        names = study.ranges.quantizers_of(layer.name)
        weights, activations = (sum(harm.harm[name, at] for name in part) if part else None for part in names)
        found.append(Row(
            place, layer.name, block_of(layer.name), *bits[place], weights, activations, layer.head, place in own,
        ))  # fmt: skip
    return found


def set_bits(study: Study, bits: LayerBits, selected: Sequence[int]) -> None:
    """Controls for the bits of the selected layers."""
    text = f"{len(selected)} layers" if len(selected) != 1 else study.layers[selected[0]].name
    st.markdown(f"**{text if selected else 'No layer'}** selected" + ("" if selected else ": click or brush some"))
    for part, label in enumerate(("Weights", "Activations")):
        with_part = [place for place in selected if bits[place][part]]
        values = {bits[place][part] for place in with_part}
        key = f"layer bits {label}"
        st.session_state[key] = values.pop() if len(values) == 1 else None

        def change(part: int = part, key: str = key, places: Sequence[int] = tuple(with_part)) -> None:
            if (number := st.session_state[key]) is not None:
                put(with_bits(bits, places, part, int(number)), sorted({*own_layers(study), *places}))

        st.segmented_control(
            f"{label}, bits", WIDTHS, key=key, on_change=change, disabled=not with_part,
            help="Layers whose bits you set are pinned: an allotment leaves them as they are.",
        )  # fmt: skip


def with_bits(bits: LayerBits, places: Sequence[int], part: int, number: int) -> LayerBits:
    """The same with other bits of some layers' weights (part 0) or activations (1)."""
    changed = list(bits)
    for place in places:
        pair = list(changed[place])
        pair[part] = number
        changed[place] = (pair[0], pair[1])
    return tuple(changed)


def beginnings(study: Study) -> None:
    """Undo, forget what is pinned, and uniform bits to start from."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.button("Undo", icon=":material/undo:", on_click=undo, disabled=not st.session_state.get(BEFORE))
        st.button(
            "Unpin", icon=":material/keep_off:", on_click=keep, args=(OWN, None), disabled=not recall(OWN),
            help="Let an allotment choose the bits of all layers again.",
        )  # fmt: skip
        for text in STARTS:
            uniform = bits_of(study.profile, Scheme.parse(text))
            st.button(text, on_click=put, args=(uniform, []), help="All layers alike; first and last ones keep 8.")


def preview(view: Studio, study: Study, scheme: Scheme) -> None:
    """The shown image in the scheme, and what it comes to."""
    task, moved = view.task, study.moved(view, scheme)
    drawn = task.draw_moved(view.canvas, moved.before, moved.after, moved.distortion)
    alt = f"{task.words.plural.capitalize()} in full precision and with the chosen bits"
    picture(drawn, key="chosen bits", alt=alt)
    style.moved_legend(task, "quantized")
    cost, agreed, uniform = study.profile.cost(scheme), study.agreement(scheme), Scheme.parse("W4A4")
    share = cost.bops / study.profile.cost(uniform).bops
    first, second, third = st.columns(3)
    first.metric("Distortion here", f"{float(moved.distortion.score[0]):.1f}", help=task.words.explanation)
    second.metric(
        f"Mean of {agreed.images}", f"{agreed.distortion:.1f}",
        help="Mean distortion on chosen images that nothing was calibrated on. Biases are as they are: a run corrects "
        "them, too.",
    )  # fmt: skip
    third.metric("Agreement F1", f"{agreed.f1:.3f}", help=task.words.agreement)
    first.metric(
        "Bits", f"{cost.average_weight_bits:.2f} · {cost.average_activation_bits:.2f}",
        help="Average of a weight and of an activation.",
    )  # fmt: skip
    second.metric("Size", f"{study.profile.size_bytes(scheme) / 1e3:,.0f} kB", help="Of all parameters, packed.")
    third.metric(
        "Bit operations", cost.operations, f"{share:.2f} × W4A4", delta_color="off", delta_arrow="off",
        help="Of one image: the product of a w-bit and an a-bit number takes w · a.",
    )  # fmt: skip


def allotment(study: Study, bits: LayerBits) -> Constraints:
    """Controls that let an integer programme choose the bits of all layers that are not pinned."""
    with st.container(border=True):
        first, second, third = st.columns([1, 1.3, 1.1], gap="small", vertical_alignment="bottom")
        unit = UNITS[second.selectbox("of", list(UNITS), key="l_unit", bind="query-params")]
        amount = first.number_input(
            "Budget", 0.1, 1e4, USUAL[unit], key=f"l_budget_{unit}", bind="query-params", format="%g",
            help="Average bits: of weights, and no more bit operations than all layers at so many bits would take.",
        )  # fmt: skip
        among = third.selectbox("Hardware has", list(HARDWARE), key="l_among", bind="query-params")
        one, two = st.columns(2)
        equal = one.checkbox(
            "One width a layer", key="l_equal", bind="query-params",
            help="Weights and activations alike, for kernels that multiply only numbers of the same bits.",
        )  # fmt: skip
        shared = two.checkbox(
            "One width a tensor", key="l_shared", bind="query-params",
            help="Layers that read the same tensor, and tensors that are added or joined, get the same bits.",
        )  # fmt: skip
        constraints = Constraints(HARDWARE[among], equal, shared)
        pinned = own_layers(study)
        label = f"Allot the rest ({len(pinned)} pinned)" if pinned else "Allot bits for this budget"
        if st.button(label, type="primary", icon=":material/balance:", width="stretch", key="l_allot"):
            try:
                budget = Budget.parse(f"{amount:g}{unit}")
                made = study.allot(budget, constraints, {study.layers[place].name: bits[place] for place in pinned})
                put(bits_of(study.profile, made.scheme))
                st.rerun()
            except InputError as error:
                style.problem(error, icon=":material/error:")
    return constraints


def front(view: Studio, study: Study, scheme: Scheme, constraints: Constraints) -> None:
    """What budgets buy; a click takes a point's bits."""
    st.subheader("What bits buy", anchor=False)
    axis = AXES[st.segmented_control(
        "Over", list(AXES), default=next(iter(AXES)), required=True, key="l_axis", bind="query-params",
        label_visibility="collapsed",
    )]  # fmt: skip
    points = study.front(constraints, axis, make=False)
    if points is None and st.button(
        "Measure the front", icon=":material/timeline:", key="l_front",
        help="Allots bits for ten budgets and measures each, and uniform schemes beside them.",
    ):  # fmt: skip
        study.front(constraints, axis, make=True)
        st.rerun()
    if points is None:
        style.note("Ten budgets from that of W4A4 up, measured on images that nothing was chosen on. Takes a while.")
        return

    def load() -> None:
        if (point := clicked_point("front")) is not None:
            put(bits_of(study.profile, points[int(point)].allocation.scheme), [])

    cost, agreed = study.profile.cost(scheme), study.agreement(scheme)
    taken = cost.bops if axis == "bops" else study.profile.size_bytes(scheme)
    figure = front_chart(points, view.words, axis, (taken, agreed.distortion, agreed.f1))
    table = pd.DataFrame([point.row() for point in points])
    chart(figure, key="front", alt=f"Distortion and agreement over {axis}", table=table, clicked=load)
    style.note(f"Measured on {agreed.images} images that nothing was chosen on. Click a point to take its bits.")


@st.fragment
def panel(view: Studio, study: Study) -> None:
    """Everything on the page; only this is rerun when something is chosen."""
    try:
        bits = present_bits(study)
        scheme = in_scheme(study.profile, bits)
        left, right = st.columns([1.15, 1], gap="medium")
        with right:
            preview(view, study, scheme)
            with st.container(horizontal=True, gap="medium"):
                st.page_link(
                    "../pages/tune.py", label="Tune this", icon=":material/tune:",
                    query_params=tune_query(view.choice, scheme),
                )  # fmt: skip
            constraints = allotment(study, bits)
        with left:
            beginnings(study)
            shown, at = filters(study)
            selected = layer_list(rows(study, bits, shown, study.harm((at,)), at), SELECTED, LIST_HEIGHT)
            set_bits(study, bits, selected)
        front(view, study, scheme, constraints)
    except InputError as error:
        style.problem(error, icon=":material/error:")


view = studio()
style.page(
    "Layers",
    f"Which layers' bits move the {view.words.plural}? Click or brush layers, give them others, and watch.",
)
study = Study.of(view)
if calibration.is_ready(study.calibration):
    panel(view, study)
else:
    st.info(
        f"**{view.choice.name}** is large: its layers are looked at once it is quantized here.", icon=":material/bolt:"
    )
    calibration.start_button(study.calibration)
