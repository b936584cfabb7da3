"""Two finished audits side by side. Nothing is computed here: `analysis.comparing` reads the two stored results."""

from functools import lru_cache
from typing import Any

from analysis.comparing import Comparison, compare_audits, difference_cells
from analysis.comparing.cells import common_groups
from analysis.errors import ConflictError, InputError
from analysis.outcomes.per_prompt import answered
from backend.db import Database
from backend.services.prompt_sets import PromptSets
from backend.services.records import Heatmap
from backend.services.results import UNITS, Results, not_ready
from backend.services.run_rows import find

_KEPT = 8


class Comparisons:
    """Compares runs by their ids. Every method raises NotFoundError for an unknown run, ConflictError for one that has
    no report (yet), InputError for a run and itself.
    """

    def __init__(self, database: Database, results: Results, prompt_sets: PromptSets) -> None:
        self._database = database
        self._results = results
        self._prompt_sets = prompt_sets
        # A result never changes once it is there, and with it no comparison.
        self._compared = lru_cache(maxsize=_KEPT)(self._compare)

    def compare(self, a: str, b: str) -> Comparison:
        """B against A."""
        return self._compared(a, b)

    def heatmap(
        self, a: str, b: str, quantity: str = "frequency", group: str = "all", window: str = "prompt"
    ) -> Heatmap:
        """B − A of one quantity for every layer and expert; `groups` are those that both runs have.

        Raises InputError for a quantity, group or window that one run lacks, WithheldError for models of other shapes.
        """
        self._check(a, b)
        one, other = self._results.routing(a), self._results.routing(b)
        return Heatmap(
            layers=[*one.layers],
            experts=[*range(one.experts)],
            values=difference_cells(one, other, quantity, group, window),
            quantity=quantity,
            group=group,
            window=window,
            groups=common_groups(one, other),
            windows=[*one.windows],
            unit=f"{UNITS[quantity]}, B minus A",
        )

    def _compare(self, a: str, b: str) -> Comparison:
        self._check(a, b)
        return compare_audits(self._report(a), self._report(b))

    def _check(self, a: str, b: str) -> None:
        with self._database.read() as session:
            for run in (find(session, a), find(session, b)):
                if run.kind != "audit":
                    raise ConflictError(
                        f"run '{run.id}' is of kind {run.kind}, and only audits can be compared: what it found itself "
                        f"is at /ui/runs/{run.id}"
                    )
                if run.status != "done":
                    raise not_ready(run)
        if a == b:
            raise InputError(f"run '{a}' is compared with itself: choose two different runs", field="b")

    def _report(self, run_id: str) -> dict[str, Any]:
        """The stored report; one from before answers were listed gets its list from the stored answers."""
        report = self._results.report(run_id)
        if "per_prompt" in report["outcomes"]:
            return report
        with self._database.read() as session:
            set_id = find(session, run_id).prompt_set_id
        prompts, answers = self._prompt_sets.load(set_id), self._results.answers(run_id)
        rows = [one.as_dict() for one in answered(prompts, answers)]
        return {**report, "outcomes": {**report["outcomes"], "per_prompt": rows}}
