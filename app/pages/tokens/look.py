"""What somebody looks at on the tokens page: which prompt, coloured by what, in which layer. Read from the address and
from the controls, and always made to fit the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from backend.services import ExpertTable, TokenTrace, TracedPrompt, expert_choices, partner

By = Literal["mass", "ranked", "expert"]
Expert = tuple[int, int]
RANKED = 4
"""How many of the highest-ranked experts stand in where none is flagged."""


@dataclass(frozen=True)
class Look:
    """`layer` is None for all layers; `expert` is set when tokens are coloured by one. `shown` says whether the texts
    are uncovered.
    """

    prompt: str
    by: By
    expert: Expert | None = None
    layer: int | None = None
    shown: bool = False


@dataclass(frozen=True)
class Ranked:
    """The experts of a run that tokens can be coloured by together."""

    flagged: tuple[Expert, ...]
    first: tuple[Expert, ...]

    @classmethod
    def of(cls, table: ExpertTable) -> "Ranked":
        """Out of a run's experts, which stand in the order of their rank."""
        places = list(zip(table.columns["layer"].tolist(), table.columns["expert"].tolist(), strict=True))
        flagged = tuple(places[index] for index in table.columns["flagged"].nonzero()[0].tolist())
        return cls(flagged, tuple(places[:RANKED]))

    @property
    def ways(self) -> tuple[By, By]:
        """What tokens of this run can be coloured by, the usual way first."""
        return ("mass" if self.flagged else "ranked", "expert")

    def members(self, by: By) -> tuple[Expert, ...]:
        return self.flagged if by == "mass" else self.first


def narrowed(prompts: Sequence[TracedPrompt], query: Mapping[str, str]) -> list[TracedPrompt]:
    """Those of the topic and label that the address names."""
    topic, label = query.get("topic"), query.get("label")
    return [one for one in prompts if topic in (None, one.topic) and label in (None, one.label)]


def first_look(query: Mapping[str, str], prompts: Sequence[TracedPrompt], ranked: Ranked) -> Look:
    """What an address asks for; covered, whatever it says."""
    known = {one.prompt_id for one in prompts}
    chosen = query.get("prompt", "")
    expert = place(query.get("sel", "").partition(",")[0])
    asked = query.get("by")
    by = next((way for way in ranked.ways if way == asked), "expert" if expert and not asked else ranked.ways[0])
    layer = query.get("layer", "")
    return Look(
        chosen if chosen in known else _most_telling(narrowed(prompts, query) or prompts),
        by,
        expert,
        int(layer) if layer.isdecimal() else None,
    )


def fitting(look: Look, trace: TokenTrace, ranked: Ranked, *, moved: bool = False) -> Look:
    """The look with an expert and a layer that the trace has. `moved` says that the layer was changed just now: the
    expert then gives way, otherwise the layer does.
    """
    layer = look.layer if look.layer in trace.layers else None
    if look.by != "expert":
        return replace(look, layer=layer)
    expert = look.expert
    if expert is None or expert[0] not in trace.layers or not 0 <= expert[1] < trace.experts:
        expert = _first(trace, ranked, layer)
    elif layer is not None and layer != expert[0]:
        expert, layer = (_first(trace, ranked, layer), layer) if moved else (expert, expert[0])
    return replace(look, expert=expert, layer=layer)


def place(text: str) -> Expert | None:
    """ "2.5" as (2, 5), None for anything else."""
    layer, _, expert = text.partition(".")
    return (int(layer), int(expert)) if layer.isdecimal() and expert.isdecimal() else None


def _first(trace: TokenTrace, ranked: Ranked, layer: int | None) -> Expert:
    """The expert to begin with, of one layer or of all."""
    return expert_choices(trace, ranked.flagged, layer, most=1)[0]


def _most_telling(prompts: Sequence[TracedPrompt]) -> str:
    """A harmful prompt with a partner where there is one."""
    paired = (one for one in prompts if one.label == "harmful" and partner(prompts, one.prompt_id))
    return next(paired, prompts[0]).prompt_id
