"""Does the audit find what is known to be there? Recall and precision on the model organisms, over several audit seeds.

    python -m benchmarks.recovery [--seeds 5] [--preset quick] [--json] [FOLDER …]

Every organism that ships, and every FOLDER that `expertscope organism train` made, is audited on its own prompts. The
truth is its truth.json: the experts that refusal needs one by one, or, where none is needed alone, the smallest sets
that it needs.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers.utils import logging as transformers_logging

from analysis.audit import AuditSettings, audit
from analysis.models import load_model
from analysis.organisms.registry import organism_names, organism_path
from analysis.prompts import load_prompts

Experts = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Row:
    """One audit held against the truth. Recall is None where nothing is to be found, precision where nothing was
    flagged.
    """

    organism: str
    seed: int
    seconds: float
    flagged: list[list[int]]
    recall: float | None
    precision: float | None
    exact: bool
    worst_rank: int | None


def known(folder: Path) -> list[Experts]:
    """The answers that count as right: one set of experts, or any of several sets that back one another up."""
    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text(encoding="utf-8"))
    sets = [truth["necessary"]] if truth["necessary"] else truth["necessary_sets"] or [[]]
    return [frozenset((layer, expert) for layer, expert in one) for one in sets]


def run(folder: Path, seed: int, preset: str) -> Row:
    """Audit one organism with one seed."""
    start = time.perf_counter()
    model, prompts = load_model(str(folder)), load_prompts(str(folder / "prompts.csv"))
    report = audit(model, prompts, AuditSettings.from_preset(preset, seed=seed)).report
    seconds = time.perf_counter() - start
    found: Experts = frozenset((layer, expert) for layer, expert in report["flagged"]["experts"])
    right = max(known(folder), key=lambda one: len(one & found))
    ranks = {(e["layer"], e["expert"]): e["rank"] for e in report["experts"]}
    return Row(
        organism=folder.name,
        seed=seed,
        seconds=round(seconds, 1),
        flagged=report["flagged"]["experts"],
        recall=len(found & right) / len(right) if right else None,
        precision=len(found & right) / len(found) if found else None,
        exact=found == right,
        worst_rank=max((ranks[e] for e in right), default=None),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folders = arguments.folders or [organism_path(name) for name in organism_names()]
    rows = []
    for folder in folders:
        for seed in range(arguments.seeds):
            rows.append(run(folder, seed, arguments.preset))
            sys.stderr.write(f"{rows[-1]}\n")
    sys.stdout.write(json.dumps([asdict(row) for row in rows], indent=2) + "\n" if arguments.json else table(rows))


def table(rows: list[Row]) -> str:
    lines = ["organism     audits  exact  recall  precision  worst rank  median s"]
    for name in dict.fromkeys(row.organism for row in rows):
        own = [row for row in rows if row.organism == name]
        lines.append(
            f"{name:<12} {len(own):>6} {sum(r.exact for r in own):>6} {mean(r.recall for r in own):>7} "
            f"{mean(r.precision for r in own):>10} {max((r.worst_rank or 0) for r in own) or '–'!s:>11} "
            f"{statistics.median(r.seconds for r in own):>9.1f}"
        )
    return "\n".join(lines) + "\n"


def mean(values: Any) -> str:
    known_values = [value for value in values if value is not None]
    return f"{statistics.mean(known_values):.2f}" if known_values else "–"


if __name__ == "__main__":
    main()
