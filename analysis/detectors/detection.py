"""From a model and labelled prompts to a trained detector and detector.json: what `expertscope detect` does.

signals → folds, with baselines → tables → one sentence; then a last fit on all prompts, to be kept
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from analysis.detectors import DETECTORS
from analysis.detectors.base import Column, Detector
from analysis.detectors.baselines import DRAWS, SHARE
from analysis.detectors.evaluation import FOLDS, Category, Row, Table, evaluate, labels_of
from analysis.detectors.folds import MOST_CATEGORY_FOLDS, units_of
from analysis.detectors.linear import C, LinearScorer
from analysis.detectors.metrics import CALIBRATION_BINS, SAMPLES
from analysis.detectors.nearest import NEIGHBOURS
from analysis.detectors.signals import Signals, capture_signals
from analysis.detectors.trained import TrainedDetector
from analysis.errors import InputError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import PromptSet
from analysis.report.document import model_section, software_section
from analysis.routing.trace import DEFAULTS, Progress, silent
from analysis.shards import ShardStore
from analysis.statistics import Interval

SCHEMA = "expertscope.detector/1"
FEWEST_PROMPTS = 10


@dataclass(frozen=True)
class Detection:
    """`document` is detector.json; `tables` are its numbers; `trained` has seen every labelled prompt."""

    document: dict[str, Any]
    tables: tuple[Table, ...]
    trained: TrainedDetector

    def __repr__(self) -> str:
        return f"Detection({self.document['verdict']['sentence']})"


def detect(
    model: LoadedModel,
    prompts: PromptSet,
    detector: str = "routescan",
    *,
    seed: int = 0,
    draws: int = DRAWS,
    batch_tokens: int = DEFAULTS.batch_tokens,
    shards: ShardStore | None = None,
    progress: Progress = silent,
) -> Detection:
    """Train a detector of `DETECTORS` on the labelled prompts and judge it, on pairs and on topics left out.

    Jailbreaks are left aside: their wrapping would tell them from benign prompts, which have none.
    `draws` is how often the baselines that are random are drawn; `shards` lets a killed capture go on where it was.
    Raises InputError for a name that is not in the registry and for fewer than 10 harmful or 10 benign prompts,
    CaptureError when the capture's certificate does not hold.
    """
    chosen = _find(detector)
    labelled = PromptSet(prompts.name, tuple(p for p in prompts if p.side is not None))
    check_prompts(labelled)
    start = time.perf_counter()
    signals = capture_signals(model, labelled, batch_tokens=batch_tokens, shards=shards, progress=progress)
    captured = time.perf_counter()
    tables, withheld = evaluate(chosen, signals, seed=seed, draws=draws, progress=progress)
    trained = train(chosen, signals, labelled, tables, weights_sha256=model.weights_sha256)
    timings = {"capture": round(captured - start, 3), "evaluation": round(time.perf_counter() - captured, 3)}
    document = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "verdict": {"sentence": sentence(tables)},
        "detector": _detector_section(chosen, signals),
        "model": model_section(model),
        "prompts": _prompts_section(labelled, len(prompts)),
        "settings": _settings(seed, draws),
        "software": {**software_section(), "scikit-learn": _sklearn_version()},
        "certificate": None if signals.certificate is None else signals.certificate.as_dict(),
        "evaluation": {table.scheme: _table(table) for table in tables},
        "scores": _scores(labelled, tables),
        "weights": _weights(trained, chosen, signals),
        "withheld": {**withheld, **_reasons(tables, chosen), **_left_aside(prompts)},
        "timings": {"load": model.load_seconds, **timings},
    }
    return Detection(document, tuple(tables), trained)


def check_prompts(prompts: PromptSet) -> None:
    """Raise InputError for too few labels; the command line asks before it loads a model."""
    harmful, benign = len(prompts.labelled("harmful")), len(prompts.labelled("benign"))
    if min(harmful, benign) < FEWEST_PROMPTS:
        raise InputError(
            f"a detector needs at least {FEWEST_PROMPTS} harmful and {FEWEST_PROMPTS} benign prompts, "
            f"found {harmful} and {benign}: label more of them",
            field="prompts",
        )


def train(
    detector: Detector, signals: Signals, prompts: PromptSet, tables: Sequence[Table], *, weights_sha256: str | None
) -> TrainedDetector:
    """Fit on all prompts. The threshold comes from out-of-fold scores: of unseen topics where there are any."""
    scorer = detector.fit(detector.features(signals).values, labels_of(signals), units_of(signals.prompts))
    return TrainedDetector(
        name=detector.info.name,
        layers=signals.layers,
        experts=signals.experts,
        weights_sha256=weights_sha256,
        prompts_sha256=prompts.sha256,
        threshold_at_1_fpr=tables[-1].threshold_at_1_fpr if tables else None,
        scorer=scorer,
    )


def sentence(tables: Sequence[Table]) -> str:
    """One sentence that claims no more than the tables hold."""
    if not tables:
        return "Too few prompts to train on some and test on others: nothing can be said of this detector."
    hard, name = tables[-1], tables[-1].detector.name
    seen = "whose topic it was not trained on" if hard.scheme == "leave_category_out" else "of topics it was trained on"
    said = f"On prompts {seen}, {name} tells harmful from benign with AUROC {_shown(hard.detector.auroc)}"
    if hard is not tables[0]:
        said += f", and with known topics {_shown(tables[0].detector.auroc)}"
    if hard.detector.auroc.low is not None and hard.detector.auroc.low <= 0.5:
        return f"{said}; that is not shown to be better than chance."
    unbeaten = [row.name for row in hard.rows[1:] if not _beaten(row)]
    return (
        f"{said}; not shown to be better than {', '.join(unbeaten)}."
        if unbeaten
        else f"{said}, more than any baseline."
    )


def _shown(interval: Interval) -> str:
    if interval.estimate is None:
        return "that cannot be given"
    limits = "" if interval.low is None else f" [{interval.low:.2f}, {interval.high:.2f}]"
    return f"{interval.estimate:.2f}{limits}"


def _beaten(row: Row) -> bool:
    gap = row.behind_detector
    return gap is not None and gap.low is not None and gap.low > 0


def _find(name: str) -> Detector:
    if name not in DETECTORS:
        raise InputError(f"unknown detector '{name}': expected one of {', '.join(DETECTORS)}", field="detector")
    return DETECTORS[name]


def _detector_section(detector: Detector, signals: Signals) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for column in detector.features(signals.take([0])).columns:
        kinds[column.kind] = kinds.get(column.kind, 0) + 1
    return {**asdict(detector.info), "features": kinds, "probed_layers": list(signals.probed)}


def _prompts_section(prompts: PromptSet, offered: int) -> dict[str, Any]:
    return {
        "name": prompts.name,
        "sha256": prompts.sha256,
        "harmful": len(prompts.labelled("harmful")),
        "benign": len(prompts.labelled("benign")),
        "topics": list(prompts.topics),
        "pairs": len(prompts.pairs),
        "offered": offered,
    }


def _settings(seed: int, draws: int) -> dict[str, Any]:
    return {
        "seed": seed,
        "folds": FOLDS,
        "most_category_folds": MOST_CATEGORY_FOLDS,
        "regularisation_c": C,
        "neighbours": NEIGHBOURS,
        "random_draws": draws,
        "few_experts_share": 1 / SHARE,
        "resamples": SAMPLES,
        "calibration_bins": CALIBRATION_BINS,
    }


def _sklearn_version() -> str:
    import sklearn

    return str(sklearn.__version__)


def _table(table: Table) -> dict[str, Any]:
    return {
        "folds": table.folds,
        "harmful": table.harmful,
        "benign": table.benign,
        "rows": [_row(row) for row in table.rows],
        "categories": [_category(one) for one in table.categories],
        "threshold_at_1_fpr": table.threshold_at_1_fpr,
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        name: value.as_dict() if isinstance(value := getattr(row, name), Interval) else value
        for name in Row.__dataclass_fields__
    }


def _category(one: Category) -> dict[str, Any]:
    return {"topic": one.topic, "harmful": one.harmful, "benign": one.benign, "auroc": one.auroc.as_dict()}


def _scores(prompts: PromptSet, tables: Sequence[Table]) -> list[dict[str, Any]]:
    """Each prompt's probability from fits that have not seen it; null where no fold tests it."""
    return [
        {
            "prompt_id": prompt.id,
            "label": prompt.label,
            "topic": prompt.topic,
            **{table.scheme: _number(table.probability[i]) for table in tables},
        }
        for i, prompt in enumerate(prompts)
    ]


def _weights(trained: TrainedDetector, detector: Detector, signals: Signals) -> list[dict[str, Any]]:
    """Change of the log-odds for one standard deviation of each column, the largest first; empty without weights."""
    if not isinstance(trained.scorer, LinearScorer):
        return []
    columns: tuple[Column, ...] = detector.features(signals.take([0])).columns
    weights = trained.scorer.weights
    return [{**asdict(columns[i]), "weight": float(weights[i])} for i in np.argsort(-np.abs(weights), kind="stable")]


def _reasons(tables: Sequence[Table], detector: Detector) -> dict[str, str]:
    found = {f"{table.scheme}.{name}": reason for table in tables for name, reason in table.withheld.items()}
    if not detector.linear:
        found["weights"] = f"{detector.info.name} has no weights: prompts vote"
    return found


def _left_aside(prompts: PromptSet) -> dict[str, str]:
    count = len(prompts.jailbreaks)
    if not count:
        return {}
    return {"jailbreaks": f"{count} jailbreaks are neither trained on nor tested: benign prompts have no wrapping"}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
