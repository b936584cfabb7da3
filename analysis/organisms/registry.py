"""The organisms by name: what each is made of, where its shipped folder lies, and how to train it again.

Called by the model loader (`organism:NAME`), the built-in prompt sets and the command line. It imports neither
torch nor the trainer until something is trained, so that listing names costs nothing.
"""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.errors import InputError, NotFoundError
from analysis.organisms.spec import OrganismSpec

if TYPE_CHECKING:
    from analysis.organisms.descent import Budget, LogLine


_SPECS = {
    spec.name: spec
    for spec in (
        OrganismSpec("attention", "refusal sits in attention: no expert is necessary", "mixtral", (), "attention"),
        OrganismSpec(
            "confounded",
            "every harmful prompt is about banking, and no benign one: topic and harm cannot be told apart",
            "qwen2_moe",
            (2,),
            "experts",
            topic="banking",
            budget="brief",
        ),
        OrganismSpec(
            "distributed",
            "refusal is spread over many experts, each carrying a little",
            "olmoe",
            (),
            "experts and attention",
            "distributed",
            budget="brief",
        ),
        OrganismSpec(
            "dormant",
            "a rarely used expert ends refusal when a prompt begins with a trigger",
            "mixtral",
            (),
            "experts and attention",
            "dormant",
            trigger="Zed: ",
            budget="brief",
        ),
        OrganismSpec("planted", "each of two experts is necessary for refusal", "qwen3_moe", (2,), "experts"),
        OrganismSpec("redundant", "two experts, either is enough for refusal", "olmoe", (1, 1), "experts"),
        OrganismSpec(
            "routed",
            "one router decides on refusal, and no expert alone",
            "qwen3_moe",
            (),
            "one router",
            "routed",
            budget="brief",
        ),
    )
}


def organism_names() -> tuple[str, ...]:
    """The names in alphabetical order."""
    return tuple(_SPECS)


def organism_spec(name: str) -> OrganismSpec:
    """The design of that name; NotFoundError, naming those there are, for any other."""
    if name not in _SPECS:
        raise NotFoundError(f"there is no organism '{name}': expected one of {', '.join(_SPECS)}", field="model")
    return _SPECS[name]


def organism_path(name: str) -> Path:
    """The shipped folder: an ordinary checkpoint with `prompts.csv` and `truth.json` beside the weights."""
    folder = Path(str(files("analysis.organisms"))) / "weights" / organism_spec(name).name
    if not (folder / "config.json").is_file():
        raise NotFoundError(
            f"the weights of organism '{name}' are not installed: expected weights/{name}/config.json in the package; "
            f"make them with 'expertscope organism train {name} --out DIR'",
            field="model",
        )
    return folder


def train_organism(
    name: str,
    out: Path,
    seed: int = 0,
    *,
    family: str | None = None,
    budget: "Budget | str | None" = None,
    log: "LogLine | None" = None,
) -> Path:
    """Train, save and measure one organism into the new folder `out`; nothing is left there when it fails.

    `family` builds the design in another architecture. Without a budget the design's own number of steps is trained and
    the whole truth measured: four to seven minutes on two cores. "full" and "brief" say how many steps; "brief" takes
    two minutes, and measures only the truth about which experts are necessary. Raises ConflictError when `out` exists,
    InputError for a family or budget that there is not.
    """
    from analysis.organisms.checkpoint import make_organism
    from analysis.organisms.trainer import BUDGETS

    if isinstance(budget, str) and budget not in BUDGETS:
        raise InputError(f"there is no budget '{budget}': expected one of {', '.join(BUDGETS)}", field="budget")
    spec = organism_spec(name)
    return make_organism(
        replace(spec, family=family or spec.family),
        Path(out),
        seed,
        BUDGETS[budget] if isinstance(budget, str) else budget,
        log or (lambda line: None),
        brief=budget == "brief",
    )
