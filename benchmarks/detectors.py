"""How often do a detector's intervals hold one half where a coin gave the labels? By simulation.

    python -m benchmarks.detectors [--sets 200] [--topics 10] [--pairs 12] [--seed 0] [--json]

Ten topics with a routing of their own, twelve pairs in each, and nothing to be found: which twin is called harmful is
random. Intervals draw topics again but keep the fits, so they lack what training on other prompts would change; this is
where that matters most. `routescan` is left out unless asked for with --routescan, since each fit of it is six.
"""

import argparse
import json
import sys
from dataclasses import asdict, dataclass

import numpy as np

from analysis.detectors import DETECTORS
from analysis.detectors.evaluation import evaluate
from analysis.detectors.signals import Signals
from analysis.prompts.prompt_set import Prompt

LAYERS, EXPERTS, TOKENS = 2, 8, 24


@dataclass(frozen=True)
class Row:
    """`covered` is the share of `sets` whose interval holds one half, `error` its Monte-Carlo error; `mean` and `sd`
    are of the AUROC.
    """

    detector: str
    folds: str
    covered: float
    error: float
    mean: float
    sd: float
    sets: int


def noise(topics: int, pairs: int, rng: np.random.Generator) -> Signals:
    """Prompts whose labels say nothing."""
    prompts = []
    for topic in range(topics):
        for pair in range(pairs):
            labels = rng.permutation(["harmful", "benign"]).tolist()
            prompts += [
                Prompt(f"{topic}-{pair}-{i}", "", label, f"topic {topic:02d}", f"{topic}-{pair}")
                for i, label in enumerate(labels)
            ]
    own = rng.normal(size=(topics, LAYERS, EXPERTS)).repeat(2 * pairs, axis=0)
    logits = own + 0.3 * rng.normal(size=own.shape)
    chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    load = rng.multinomial(TOKENS, chance) / TOKENS
    inputs, tokens = np.zeros((len(prompts), 0, 1)), np.full(len(prompts), TOKENS)
    return Signals(tuple(prompts), tuple(range(LAYERS)), (EXPERTS,) * LAYERS, (), load, logits, inputs, tokens)


def measure(detectors: list[str], sets: int, topics: int, pairs: int, seed: int) -> list[Row]:
    """One row for each detector and kind of folds; all see the same sets."""
    found: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for number in range(sets):
        signals = noise(topics, pairs, np.random.default_rng([seed, number]))
        for name in detectors:
            for table in evaluate(DETECTORS[name], signals, seed=number, compare=False)[0]:
                area = table.detector.auroc
                assert area.estimate is not None
                held = area.low is not None and area.high is not None and area.low <= 0.5 <= area.high
                found.setdefault((name, table.scheme), []).append((area.estimate, held))
    return [_row(name, scheme, np.array(seen, dtype=np.float64)) for (name, scheme), seen in found.items()]


def _row(name: str, scheme: str, seen: np.ndarray) -> Row:
    mean, covered = (float(value) for value in seen.mean(0))
    error = float(np.sqrt(covered * (1 - covered) / len(seen)))
    return Row(name, scheme, covered, error, mean, float(seen[:, 0].std()), len(seen))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.detectors", description=__doc__.splitlines()[0])
    for name, default in (("sets", 200), ("topics", 10), ("pairs", 12), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--routescan", action="store_true", help="measure routescan too; minutes")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    given = parser.parse_args(arguments)
    detectors = [name for name in DETECTORS if given.routescan or name != "routescan"]
    rows = measure(detectors, given.sets, given.topics, given.pairs, given.seed)
    if given.json:
        json.dump([asdict(row) for row in rows], sys.stdout, indent=2)
        print()
        return
    for row in rows:
        print(
            f"{row.detector:14s} {row.folds:19s} held {row.covered:6.1%} ± {row.error:.1%}"
            f"   AUROC {row.mean:.3f} (sd {row.sd:.3f})   {row.sets} sets"
        )


if __name__ == "__main__":
    main()
