"""What the worker holds a question against: the newest finished audit of the same model, and its detectors.

Read from the database in the worker; the comparing itself is in `analysis.playground`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select

from analysis.errors import ExpertScopeError
from analysis.playground.reference import AuditReference, DetectorReference, References, ScoredPrompts
from backend.db import Database
from backend.db.tables import RunRow
from backend.services.documents import DETECTOR_FILE, Documents
from backend.services.prompt_sets import PromptSets
from backend.services.questions import DetectorQuality
from backend.services.results import Results

DETECTORS = 5
"""At most so many detectors of a model are asked, the newest."""
SCHEMES = ("leave_category_out", "kfold")
"""How a detector is measured, the harder way first; its threshold comes from the first that there is."""


class PlaygroundReferences:
    """Finds what finished runs of a model offer."""

    def __init__(self, database: Database, results: Results, documents: Documents, prompt_sets: PromptSets) -> None:
        self._database = database
        self._results = results
        self._documents = documents
        self._prompt_sets = prompt_sets

    def of_model(self, model_id: str) -> References:
        """Everything that a prompt for this model can be held against."""
        audits = self._finished(model_id, "audit", 1)
        trained = self._finished(model_id, "detect", DETECTORS)
        detectors = [found for run_id in trained if (found := self._detector(run_id)) is not None]
        return References(self._audit(audits[0]) if audits else None, detectors)

    def quality(self, run_id: str) -> DetectorQuality | None:
        """How well that run's detector does; None where it could not be measured, or the run is gone."""
        try:
            document = self._documents.get(run_id)
        except ExpertScopeError:
            return None
        scheme = _scheme(document)
        if scheme is None:
            return None
        row = document["evaluation"][scheme]["rows"][0]
        name = self.names([run_id]).get(run_id, run_id)
        return DetectorQuality(run_id, name, document["detector"]["name"], scheme, row["auroc"], row["tpr_at_1_fpr"])

    def flagged(self, run_id: str | None) -> tuple[tuple[int, int], ...]:
        """The (layer, expert) that an audit flagged; none without one, or where it is gone."""
        if run_id is None:
            return ()
        try:
            experts = self._results.summary(run_id)["flagged"]["experts"]
        except ExpertScopeError:
            return ()
        return tuple((int(layer), int(expert)) for layer, expert in experts)

    def names(self, run_ids: Sequence[str]) -> dict[str, str]:
        with self._database.read() as session:
            found = session.execute(select(RunRow.id, RunRow.name).where(RunRow.id.in_(run_ids)))
            return {row[0]: row[1] for row in found}

    def _finished(self, model_id: str, kind: str, most: int) -> list[str]:
        """The newest finished runs of one kind on a model."""
        query = select(RunRow.id).where(RunRow.model_id == model_id, RunRow.kind == kind, RunRow.status == "done")
        with self._database.read() as session:
            return [*session.scalars(query.order_by(RunRow.finished.desc(), RunRow.id).limit(most))]

    def _audit(self, run_id: str) -> AuditReference:
        report = self._results.summary(run_id)
        with self._database.read() as session:
            run = session.get_one(RunRow, run_id)
        counts = self._results.counts(run_id)
        prompts = {prompt.id: prompt for prompt in self._prompt_sets.load(run.prompt_set_id)}
        return AuditReference(
            run_id=run_id,
            weights_sha256=report["model"]["weights_sha256"],
            seed=run.seed,
            layers=tuple(report["model"]["moe_layers"]),
            prompts=tuple(prompts[prompt_id] for prompt_id in counts.prompt_ids),
            counts=counts,
            answers=tuple(one for one in self._results.answers(run_id) if one.variant == "base"),
        )

    def _detector(self, run_id: str) -> DetectorReference | None:
        """None where its file is no longer there, or its document too old to be read."""
        try:
            file = self._documents.file(run_id, DETECTOR_FILE)
            return DetectorReference(run_id, file, _scored(self._documents.get(run_id)))
        except ExpertScopeError:
            return None


def _scheme(document: dict[str, Any]) -> str | None:
    return next((scheme for scheme in SCHEMES if scheme in document["evaluation"]), None)


def _scored(document: dict[str, Any]) -> ScoredPrompts:
    """Out-of-fold probabilities by label; empty where no prompt was tested."""
    scheme = _scheme(document)
    scores = [one for one in document["scores"] if scheme is not None and one.get(scheme) is not None]
    sides = ([one[scheme] for one in scores if one["label"] == label] for label in ("harmful", "benign"))
    return ScoredPrompts(*(np.array(side, dtype=np.float64) for side in sides))
