"""What statistics cost: every expert of a large model at once, and their share of a whole audit.

    python -m benchmarks.statistics [--preset standard] [--json]

The arrays are random: 600 prompts of 24 topics by 6,144 experts. The audit is of `organism:planted`; its share is the
time inside the public functions of `analysis.statistics`, outermost calls only.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isfunction
from typing import Any

import numpy as np
from transformers.utils import logging as transformers_logging

from analysis import statistics
from analysis.audit import AuditSettings, audit
from analysis.models import load_model
from analysis.prompts import load_prompts

PROMPTS, TOPICS, LAYERS, EXPERTS = 600, 24, 48, 128
LIMIT_SECONDS, LIMIT_SHARE = 5.0, 0.1


def large() -> dict[str, float]:
    """Seconds for each of the three quantities that an audit works out for every expert of a large model."""
    rng = np.random.default_rng(0)
    values = rng.random((PROMPTS, LAYERS * EXPERTS), dtype=np.float32)
    topics = [i % TOPICS for i in range(PROMPTS)]
    contrast = values - np.float32(0.5)
    layered = values.reshape(PROMPTS, LAYERS, EXPERTS)
    work: dict[str, Callable[[], Any]] = {
        "cluster bootstrap, 1,000 resamples": lambda: statistics.cluster_bootstrap_columns(values, topics, seed=0),
        "paired test, 2,000 flips and more for the rare": lambda: statistics.paired_test(
            contrast, topics, most_flips=40 * LAYERS * EXPERTS, seed=0
        ),
        "stability selection, 100 half-samples": lambda: statistics.stability_selection(
            layered, EXPERTS // 10, seed=0, clusters=topics
        ),
    }
    seconds = {}
    statistics.wilson(1, 2)  # scipy's import is nobody's share
    for name, one in work.items():
        start = time.perf_counter()
        one()
        seconds[name] = round(time.perf_counter() - start, 2)
    return seconds


class Stopwatch:
    """Seconds inside the functions it has wrapped; calls among them count once."""

    def __init__(self) -> None:
        self.seconds, self._inside = 0.0, False

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return function(*arguments, **options)
            self._inside, start = True, time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds += time.perf_counter() - start
                self._inside = False

        return timed


@contextmanager
def watched() -> Iterator[Stopwatch]:
    """While open, every module of the analysis calls statistics through a stopwatch."""
    watch, put_back = Stopwatch(), []
    wrapped = {id(f): watch.wrap(f) for f in vars(statistics).values() if isfunction(f)}
    for name, module in list(sys.modules.items()):
        if name.startswith("analysis.") and not name.startswith("analysis.statistics"):
            for attribute, value in list(vars(module).items()):
                if id(value) in wrapped:
                    put_back.append((module, attribute, value))
                    setattr(module, attribute, wrapped[id(value)])
    try:
        yield watch
    finally:
        for module, attribute, value in put_back:
            setattr(module, attribute, value)


def share(preset: str) -> dict[str, float]:
    """An audit's wall time, and how much of it its statistics took."""
    model, prompts = load_model("organism:planted"), load_prompts("builtin:organism")
    with watched() as watch:
        report = audit(model, prompts, AuditSettings.from_preset(preset)).report
    total = report["timings"]["total"]
    return {"audit": total, "statistics": round(watch.seconds, 3), "share": round(watch.seconds / total, 4)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    arrays, whole = large(), share(arguments.preset)
    if arguments.json:
        sys.stdout.write(json.dumps({"seconds": arrays, "audit": whole}, indent=2) + "\n")
        return
    for name, seconds in arrays.items():
        sys.stdout.write(f"{name:<48} {seconds:>7.2f} s   {'' if seconds < LIMIT_SECONDS else 'over 5 s'}\n")
    over = "" if whole["share"] < LIMIT_SHARE else "over 10 %"
    sys.stdout.write(
        f"{f'audit of organism:planted, {arguments.preset}':<48} {whole['audit']:>7.2f} s   "
        f"statistics {whole['statistics']:.2f} s, {100 * whole['share']:.1f} % {over}\n"
    )


if __name__ == "__main__":
    main()
