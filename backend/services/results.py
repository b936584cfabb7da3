"""What finished runs found, read back in the shapes that pages, routes and reports show. Nothing is computed twice:
every number comes from the stored report or the stored routing table."""

import csv
import io
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotFoundError, WithheldError
from analysis.result import Answer, PromptCounts
from analysis.routing.coactivation import PAIR_WINDOWS
from analysis.routing.table import RoutingTable
from analysis.routing.token_trace import TokenTrace
from backend.db import Database
from backend.db.tables import OutcomeRow, PromptRow, RunDocumentRow, RunResultRow, RunRow
from backend.reports import experts_csv, render_html
from backend.services.expert_views import top_prompts, topic_uses, window_uses
from backend.services.records import ExpertView, Heatmap, Pairs, PromptUse, TopicDistances, TracedPrompt
from backend.services.run_rows import find
from backend.services.stored_result import show_answer, unpack_report
from backend.services.stored_tokens import token_trace, traced_prompts

UNITS = {
    "frequency": "share of tokens that select the expert",
    "probability": "mean router probability",
    "lift": "selection frequency over uniform use (k/E)",
    "difference": "selection frequency, harmful minus benign",
}
PAIR_QUANTITIES = ("probability", "lift", "tokens")
_KEPT = 4
Rows = list[dict[str, Any]]
Answers = list[Answer]


class Results:
    """Reads results. Every method raises NotFoundError for an unknown run, ConflictError for one without a result.

    A result never changes once it is there, so the last few that were asked for stay unpacked: with 6,000 experts
    unpacking takes longer than everything else that a page does. What comes back is shared; nobody may change it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._report = lru_cache(maxsize=_KEPT)(self._read_report)
        self._table = lru_cache(maxsize=_KEPT)(self._read_table)

    def report(self, run_id: str) -> dict[str, Any]:
        """report.json."""
        return self._report(run_id)

    def certificate(self, run_id: str) -> dict[str, Any]:
        """What the capture of a run saw, of whatever kind the run is."""
        with self._database.read() as session:
            document = session.get(RunDocumentRow, run_id)
            if document is None:
                return _result(session, run_id).certificate
            found: dict[str, Any] = unpack_report(document.document)["certificate"]
            return found

    def heatmap(self, run_id: str, quantity: str = "frequency", group: str = "all", window: str = "prompt") -> Heatmap:
        """One quantity for every layer and expert. Raises InputError for a quantity, group or window the run lacks."""
        table = self._table(run_id)
        return Heatmap(
            layers=[*table.layers],
            experts=[*range(table.experts)],
            values=table.cells(quantity, group, window).copy(),
            quantity=quantity,
            group=group,
            window=window,
            groups=[*table.groups],
            windows=[*table.windows],
            unit=UNITS[quantity],
        )

    def heatmap_csv(self, run_id: str, quantity: str = "frequency", group: str = "all", window: str = "prompt") -> str:
        """The heatmap as rows of layer, expert, value; an empty value where nothing was observed."""
        heatmap = self.heatmap(run_id, quantity, group, window)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["layer", "expert", quantity])
        for layer, values in zip(heatmap.layers, heatmap.values.tolist(), strict=True):
            writer.writerows([layer, expert, "" if np.isnan(v) else repr(v)] for expert, v in enumerate(values))
        return out.getvalue()

    def coactivation(self, run_id: str, layer: int, quantity: str = "probability", window: str = "prompt") -> Pairs:
        """How the experts of one layer work together. Raises InputError for a layer, quantity or window that the run
        lacks, WithheldError for a run without these counts.
        """
        counted = self._table(run_id).coactivation
        if counted is None:
            why = next(
                (w["why"] for w in self.report(run_id)["withheld"] if w["what"] == "routing.per_layer.coactivation"),
                "it was made before co-activation was counted: run it again",
            )
            raise WithheldError(f"this run has no co-activation: {why}")
        if quantity not in PAIR_QUANTITIES:
            raise InputError(
                f"unknown quantity '{quantity}': expected one of {', '.join(PAIR_QUANTITIES)}", field="quantity"
            )
        read = {"probability": counted.probability, "lift": counted.lift, "tokens": counted.counts}[quantity]
        values = read(layer, window).astype(np.float64)
        tokens = int(counted.tokens[PAIR_WINDOWS.index(window)])
        return Pairs(layer, window, quantity, tokens, values, [*PAIR_WINDOWS])

    def topics(self, run_id: str) -> Rows:
        """Per layer: topic against safety, with intervals."""
        per_layer: Rows = self.report(run_id)["routing"]["per_layer"]
        return per_layer

    def topic_matrix(self, run_id: str, prompts: str = "benign", layer: int | None = None) -> TopicDistances:
        """Topic by topic, of benign or harmful prompts, in one layer or (None) averaged over all.

        Raises InputError for other prompts or a layer that the run lacks, WithheldError with the report's reason.
        """
        routing = self.report(run_id)["routing"]
        known = ("benign", "harmful")
        if prompts not in known:
            raise InputError(f"unknown prompts '{prompts}': expected one of {', '.join(known)}", field="prompts")
        matrix = (routing.get("topic_matrix") or {}).get(prompts)
        if matrix is None:
            raise WithheldError(self._why(run_id, f"routing.topic_matrix.{prompts}"))
        layers = [row["layer"] for row in routing["per_layer"]] if "per_layer" in matrix else []
        if layer is not None and layer not in layers:
            choice = f"expected one of {', '.join(map(str, layers))}" if layers else "this run has the mean only"
            raise InputError(f"layer {layer} has no topic matrix: {choice}", field="layer")
        values = matrix["mean"] if layer is None else matrix["per_layer"][layers.index(layer)]
        return TopicDistances(prompts, layer, layers, matrix["topics"], values, matrix["pairs"])

    def _why(self, run_id: str, what: str) -> str:
        reasons = {one["what"]: one["why"] for one in self.report(run_id)["withheld"]}
        return str(reasons.get(what, "this run was made before topics were compared one by one: run it again"))

    def experts(self, run_id: str) -> Rows:
        """Every expert, best first."""
        experts: Rows = self.report(run_id)["experts"]
        return experts

    def expert(self, run_id: str, layer: int, expert: int) -> ExpertView:
        """All that is known of one expert. Raises NotFoundError for one that the model does not have."""
        with self._database.read() as session:
            result = _result(session, run_id)
            table, counts = self._table(run_id), PromptCounts.from_bytes(result.counts)
            place = _place(table, layer, expert)
            prompts = _describe(session, run_id, top_prompts(counts, place, expert))
        row = next(row for row in self.experts(run_id) if (row["layer"], row["expert"]) == (layer, expert))
        return ExpertView(
            row,
            topic_uses(table, place, expert),
            window_uses(table, place, expert),
            prompts,
            partners=[*table.coactivation.partners((layer, expert))] if table.coactivation else None,
            tokens=table.top_tokens.of(place, expert) if table.top_tokens else None,
        )

    def answers(self, run_id: str, prompt_id: str | None = None) -> Answers:
        """The judged answers in the audit's order, of one prompt or of all."""
        query = select(OutcomeRow).where(OutcomeRow.run_id == run_id).order_by(OutcomeRow.position)
        if prompt_id is not None:
            query = query.where(OutcomeRow.prompt_id == prompt_id)
        with self._database.read() as session:
            _result(session, run_id)
            return [show_answer(row) for row in session.scalars(query)]

    def traced_prompts(self, run_id: str) -> list[TracedPrompt]:
        """The prompts whose single tokens the run has kept, in the order of their set; none for an older run."""
        with self._database.read() as session:
            _result(session, run_id)
            return traced_prompts(session, find(session, run_id))

    def tokens(self, run_id: str, prompt_id: str) -> TokenTrace:
        """Where every token of a prompt and its answer was routed. Raises NotFoundError, which says why and what to do,
        for a prompt outside of what the run has kept.
        """
        with self._database.read() as session:
            _result(session, run_id)
            return token_trace(session, find(session, run_id), prompt_id)

    def experts_csv(self, run_id: str) -> str:
        return experts_csv(self.report(run_id))

    def report_html(self, run_id: str) -> str:
        """The report as one self-contained page."""
        return render_html(self._report(run_id), self._table(run_id))

    def _read_report(self, run_id: str) -> dict[str, Any]:
        with self._database.read() as session:
            return unpack_report(_result(session, run_id).report)

    def _read_table(self, run_id: str) -> RoutingTable:
        with self._database.read() as session:
            return RoutingTable.from_bytes(_result(session, run_id).routing)


def _result(session: Session, run_id: str) -> RunResultRow:
    row = session.get(RunResultRow, run_id)
    if row is None:
        raise _without_report(find(session, run_id))
    return row


def _without_report(run: RunRow) -> ExpertScopeError:
    if run.kind == "audit":
        return not_ready(run)
    return NotFoundError(
        f"run '{run.id}' is of kind {run.kind} and has none of an audit's results: its own is at "
        f"/api/v1/runs/{run.id}/document"
    )


def not_ready(run: RunRow) -> ConflictError:
    """The answer to whoever asks for the result of a run that has none."""
    why = f" ({run.error})" if run.error else ""
    return ConflictError(f"run '{run.id}' is {run.status}{why} and has no result: results exist once a run is done")


def _place(table: RoutingTable, layer: int, expert: int) -> int:
    """The layer's index in the table."""
    if layer not in table.layers or not 0 <= expert < table.experts:
        raise NotFoundError(
            f"layer {layer} has no expert {expert}: MoE layers are {', '.join(map(str, table.layers))}, "
            f"experts 0 to {table.experts - 1}"
        )
    return table.layers.index(layer)


def _describe(session: Session, run_id: str, uses: dict[str, float]) -> list[PromptUse]:
    """Topic and label of the prompts in `uses`, in its order."""
    set_id = find(session, run_id).prompt_set_id
    query = select(PromptRow).where(PromptRow.prompt_set_id == set_id, PromptRow.prompt_id.in_(uses))
    known = {row.prompt_id: row for row in session.scalars(query)}
    return [
        PromptUse(prompt_id, known[prompt_id].topic, known[prompt_id].label, frequency)
        for prompt_id, frequency in uses.items()
        if prompt_id in known
    ]
