"""The routing page's second view: one small heatmap for each topic."""

from dataclasses import dataclass

from plotly.graph_objects import Figure

from app import wording
from app.figures import Colours, topic_panels
from app.pages.routing.cells import UNITS, Choice, mean_note, short_name
from app.quantities import QUANTITIES
from backend import formats
from backend.services import Services


@dataclass(frozen=True)
class Maps:
    """The panels and their caption."""

    figure: Figure
    caption: str


def maps_title(choice: Choice) -> str:
    less = f", less {short_name(choice.minus)}" if choice.minus else ""
    return f"{QUANTITIES[choice.quantity].name} by topic{less}"


def _colours(choice: Choice) -> Colours:
    if choice.quantity == "difference":
        return Colours("difference", ("benign", "harmful"))
    return Colours("change", (short_name(choice.minus), "the topic")) if choice.minus else Colours(choice.quantity)


def draw_maps(services: Services, run_id: str, choice: Choice, label: str | None) -> Maps:
    """`label` narrows every panel to harmful or benign prompts; a difference of the two has both already."""
    label = None if choice.quantity == "difference" else label
    found = services.results.topic_pictures(run_id, choice.quantity, choice.window, label, choice.minus)
    name = QUANTITIES[choice.quantity].name
    signed = choice.quantity == "difference" or choice.minus is not None
    figure = topic_panels(
        found.values,
        found.topics,
        found.layers,
        found.experts,
        block=found.block,
        colours=_colours(choice),
        label=f"Δ {name.lower()}" if choice.minus else name.lower(),
        unit=UNITS[choice.quantity],
    )
    size = f"{formats.plural(len(found.layers), 'MoE layer')} × {found.experts} experts"
    topics = formats.plural(len(found.topics), "topic")
    parts = [
        f"{topics}, {size}, one colour scale; {wording.WINDOW_NOTES[choice.window]}.",
        f"Only {label} prompts." if label else "",
        _reduced(found.block, signed),
        mean_note(choice.quantity, choice.minus),
        "A panel selects its topic.",
    ]
    return Maps(figure, " ".join(part for part in parts if part))


def _reduced(block: int, signed: bool) -> str:
    if block == 1:
        return ""
    strongest = "the one farthest from 0" if signed else "the largest"
    return f"Each column stands for {block} neighbouring experts and shows {strongest} of their cells."
