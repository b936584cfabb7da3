"""What finished runs found, read back in the shapes that pages, routes and reports show. Nothing is computed twice:
every number comes from the stored report or the stored routing table."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from analysis.errors import ConflictError, ExpertScopeError, InputError, NotFoundError, WithheldError
from analysis.result import Answer, PromptCounts
from analysis.routing.coactivation import PAIR_WINDOWS
from analysis.routing.picture import order_by_topic, topic_maps
from analysis.routing.table import RoutingTable, topic_group
from analysis.routing.token_trace import TokenTrace
from analysis.routing.topic_order import order_topics
from analysis.statistics import RankAgreement, rank_agreement
from backend.db import Database
from backend.db.tables import OutcomeRow, PromptRow, RunDocumentRow, RunLayerRow, RunResultRow, RunRow
from backend.reports import Pdf, Summary, experts_csv, experts_xlsx, render_html, render_pdf, summarise
from backend.services.answer_changes import NO_FILTER, AnswerChanges, ChangeFilter, answer_changes
from backend.services.expert_table import ExpertRows, ExpertTable
from backend.services.expert_views import top_prompts, topic_uses, window_uses
from backend.services.experts_page import ExpertsPage, Filters, Order, select_rows
from backend.services.heatmap_views import CellTable, favours, margins, order_by_effect
from backend.services.heatmap_views import Order as ExpertOrder
from backend.services.layer_counts import LayerCounts
from backend.services.leading_experts import LeadingExpert, leading_experts
from backend.services.paging import offset_cursor, offset_of
from backend.services.records import (
    CellRow,
    ExpertView,
    Heatmap,
    Margins,
    Page,
    Pairs,
    PromptUse,
    TopicDistances,
    TopicPictures,
    TracedPrompt,
)
from backend.services.run_rows import find
from backend.services.stored_result import EXPERTS, report_json, show_answer, unpack_report
from backend.services.stored_tokens import token_trace, traced_prompts

UNITS = {
    "frequency": "share of tokens that select the expert",
    "probability": "mean router probability",
    "lift": "selection frequency over uniform use (k/E)",
    "difference": "selection frequency, harmful minus benign",
}
ORDERS = ("index", "topic", "effect")
"""How the experts of a layer may stand side by side."""
PAIR_QUANTITIES = ("probability", "lift", "tokens")
MOST_EXPERTS = 5_000
"""Experts that one page of a list may have."""
_KEPT = 4
_KEPT_LAYERS = 8
Rows = list[dict[str, Any]]
Answers = list[Answer]


class Results:
    """Reads results. Every method raises NotFoundError for an unknown run, ConflictError for one without a result.

    A result never changes once it is there, so what pages ask for again and again stays unpacked: the last few
    summaries, expert tables, routing tables and layers. What comes back is shared; nobody may change it. `report` is
    made anew each time: with 48,000 experts it takes seconds and hundreds of megabytes, and nothing that is shown
    needs it whole.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._report = lru_cache(maxsize=_KEPT)(self._read_report)
        self._experts = lru_cache(maxsize=_KEPT)(self._read_experts)
        self._table = lru_cache(maxsize=_KEPT)(self._read_table)
        self._layer = lru_cache(maxsize=_KEPT_LAYERS)(self._read_layer)
        self._agreement = lru_cache(maxsize=_KEPT)(self._read_agreement)
        self._order = lru_cache(maxsize=_KEPT)(self._read_order)
        self._pdf = lru_cache(maxsize=_KEPT)(self._render_pdf)

    def forget(self) -> None:
        """Drop what is kept unpacked: a run was deleted, and its id may come back with another result."""
        for kept in (self._report, self._experts, self._table, self._layer, self._agreement, self._order, self._pdf):
            kept.cache_clear()

    def report(self, run_id: str) -> dict[str, Any]:
        """report.json, whole. For pages there are `summary`, `flagged` and `experts_page`."""
        return {**self._report(run_id), EXPERTS: self._experts(run_id).rows()}

    def report_json(self, run_id: str) -> Iterator[bytes]:
        """report.json as text, piece by piece, without ever holding it whole."""
        return report_json(self._report(run_id), self._experts(run_id))

    def summary(self, run_id: str) -> dict[str, Any]:
        """report.json without its experts: what it says of the run, and of the flagged experts together."""
        return {name: value for name, value in self._report(run_id).items() if name != EXPERTS}

    def flagged(self, run_id: str) -> Rows:
        """The flagged experts' rows of the report, best first."""
        return self._experts(run_id).flagged()

    def expert_table(self, run_id: str) -> ExpertTable:
        """Every expert as columns, best first."""
        return self._experts(run_id)

    def certificate(self, run_id: str) -> dict[str, Any]:
        """What the capture of a run saw, of whatever kind the run is."""
        with self._database.read() as session:
            document = session.get(RunDocumentRow, run_id)
            if document is None:
                return _result(session, run_id).certificate
            found: dict[str, Any] = unpack_report(document.document)["certificate"]
            return found

    def heatmap(
        self,
        run_id: str,
        quantity: str = "frequency",
        group: str = "all",
        window: str = "prompt",
        minus: str | None = None,
    ) -> Heatmap:
        """One quantity for every layer and expert, less that of the group `minus` where one is given.

        Raises InputError for a quantity, group or window the run lacks.
        """
        table = self._table(run_id)
        return Heatmap(
            layers=[*table.layers],
            experts=[*range(table.experts)],
            values=table.cells(quantity, group, window, minus).copy(),
            quantity=quantity,
            group=group,
            window=window,
            groups=[*table.groups],
            windows=[*table.windows],
            unit=UNITS[quantity] + (f", {group} less {minus}" if minus else ""),
            minus=minus,
            favours=favours(quantity, group, minus),
        )

    def heatmap_csv(
        self,
        run_id: str,
        quantity: str = "frequency",
        group: str = "all",
        window: str = "prompt",
        minus: str | None = None,
    ) -> str:
        """The heatmap as rows of layer, expert, value; an empty value where nothing was observed."""
        heatmap = self.heatmap(run_id, quantity, group, window, minus)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["layer", "expert", quantity])
        for layer, values in zip(heatmap.layers, heatmap.values.tolist(), strict=True):
            writer.writerows([layer, expert, "" if np.isnan(v) else repr(v)] for expert, v in enumerate(values))
        return out.getvalue()

    def margins(self, run_id: str, heatmap: Heatmap, order: ExpertOrder | None = None) -> Margins:
        """What stands beside one of this run's heatmaps, its experts in `order`."""
        return margins(self._table(run_id), heatmap, self._report(run_id)["routing"]["per_layer"], order)

    def expert_order(self, run_id: str, name: str) -> ExpertOrder | None:
        """The experts of each layer [layers, positions] by "topic" or by "effect"; None for "index", their own order.

        Raises InputError for another name, WithheldError where the run has no topics or no effects to order by.
        """
        if name not in ORDERS:
            raise InputError(f"unknown order '{name}': expected one of {', '.join(ORDERS)}", field="order")
        return None if name == "index" else self._order(run_id, name)

    def orders(self, run_id: str) -> list[str]:
        """The orders that this run has."""
        has_effects = bool(np.isfinite(self._experts(run_id).columns["effect"]).any())
        known = {"index": True, "topic": len(self._table(run_id).topics) > 1, "effect": has_effects}
        return [name for name in ORDERS if known[name]]

    def topic_pictures(
        self,
        run_id: str,
        quantity: str = "frequency",
        window: str = "prompt",
        label: str | None = None,
        minus: str | None = None,
    ) -> TopicPictures:
        """One small heatmap for each topic. Raises InputError as `heatmap` does, WithheldError without topics."""
        table = self._table(run_id)
        maps = topic_maps(table, quantity, window, label=label, minus=minus)
        topics, layers = [*maps.topics], [*table.layers]
        return TopicPictures(topics, layers, table.experts, maps.block, maps.values, quantity, minus, label, window)

    def cells_page(
        self,
        run_id: str,
        heatmap: Heatmap,
        start: int,
        end: int,
        sort: Sequence[Order] = (),
        filters: Filters | None = None,
    ) -> Page[CellRow]:
        """Rows `start` up to `end` of a heatmap's cells, sorted and filtered by layer, expert, value, name or flag.

        Raises InputError for a column or filter that does not exist.
        """
        experts = self._experts(run_id).columns
        flagged = experts["flagged"]
        table = CellTable.of(heatmap, experts["layer"][flagged], experts["expert"][flagged])
        found = select_rows(table, start, end, sort, filters or {}, {})
        return Page([table.row(int(index)) for index in found.rows], found.count, None)

    def coactivation(self, run_id: str, layer: int, quantity: str = "probability", window: str = "prompt") -> Pairs:
        """How the experts of one layer work together. Raises InputError for a layer, quantity or window that the run
        lacks, WithheldError for a run without these counts.
        """
        table = self._table(run_id)
        counted = self._layer(run_id, layer if layer in table.layers else table.layers[0]).coactivation
        if counted is None:
            why = next(
                (w["why"] for w in self._report(run_id)["withheld"] if w["what"] == "routing.per_layer.coactivation"),
                "it was made before co-activation was counted: run it again",
            )
            raise WithheldError(f"this run has no co-activation: {why}")
        if layer not in table.layers:
            raise InputError(
                f"layer {layer} has no experts: MoE layers are {', '.join(map(str, table.layers))}", field="layer"
            )
        if quantity not in PAIR_QUANTITIES:
            raise InputError(
                f"unknown quantity '{quantity}': expected one of {', '.join(PAIR_QUANTITIES)}", field="quantity"
            )
        read = {"probability": counted.probability, "lift": counted.lift, "tokens": counted.counts}[quantity]
        values = read(layer, window).astype(np.float64)
        tokens = int(counted.tokens[PAIR_WINDOWS.index(window)])
        return Pairs(layer, window, quantity, tokens, values, [*PAIR_WINDOWS])

    def routing(self, run_id: str) -> RoutingTable:
        """The routing table itself."""
        return self._table(run_id)

    def topics(self, run_id: str) -> Rows:
        """Per layer: topic against safety, with intervals."""
        per_layer: Rows = self._report(run_id)["routing"]["per_layer"]
        return per_layer

    def topic_matrix(self, run_id: str, prompts: str = "benign", layer: int | None = None) -> TopicDistances:
        """Topic by topic, of benign or harmful prompts, in one layer or (None) averaged over all.

        Raises InputError for other prompts or a layer that the run lacks, WithheldError with the report's reason.
        """
        routing = self._report(run_id)["routing"]
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
        order = order_topics(matrix["mean"])
        return TopicDistances(prompts, layer, layers, matrix["topics"], values, matrix["pairs"], order)

    def _why(self, run_id: str, what: str) -> str:
        reasons = {one["what"]: one["why"] for one in self._report(run_id)["withheld"]}
        return str(reasons.get(what, "this run was made before topics were compared one by one: run it again"))

    def experts(self, run_id: str) -> Rows:
        """Every expert's row of the report, best first."""
        return self._experts(run_id).rows()

    def list_experts(self, run_id: str, limit: int = 1_000, cursor: str | None = None) -> Page[dict[str, Any]]:
        """The experts' rows of the report, best first, `limit` at a time. Raises InputError for a limit outside
        1..MOST_EXPERTS or a cursor that no list gave out."""
        if not 1 <= limit <= MOST_EXPERTS:
            raise InputError(f"limit is {limit}: expected 1 to {MOST_EXPERTS}", field="limit")
        table, start = self._experts(run_id), offset_of(cursor)
        end = start + limit
        return Page(table.rows(start, end), len(table), offset_cursor(end) if end < len(table) else None)

    def experts_page(
        self,
        run_id: str,
        start: int,
        end: int,
        sort: Sequence[Order] = (),
        filters: Filters | None = None,
        topic: str | None = None,
    ) -> ExpertsPage:
        """Which experts a table shows between `start` and `end`, sorted and filtered; `topic` adds a column
        "lift_topic". Raises InputError for a column, filter or topic that does not exist."""
        extra = {} if topic is None else {"lift_topic": self.topic_lift(run_id, topic)}
        return select_rows(self._experts(run_id), start, end, sort, filters or {}, extra)

    def topic_lift(self, run_id: str, topic: str) -> npt.NDArray[np.float64]:
        """The lift of every expert on the prompts of one topic, [experts] in the report's order."""
        table, columns = self._table(run_id), self._experts(run_id).columns
        places = np.searchsorted(np.array(table.layers), columns["layer"])
        return table.cells("lift", topic_group(topic))[places, columns["expert"]].astype(np.float64)

    def leading_experts(
        self, run_id: str, criteria: Sequence[str], selected: Collection[tuple[int, int]] = ()
    ) -> list[LeadingExpert]:
        """The flagged and the `selected` experts, and those that any of `criteria` puts first, with their ranks."""
        return leading_experts(self._experts(run_id), tuple(criteria), selected)

    def agreement(self, run_id: str, criteria: Sequence[str]) -> RankAgreement:
        """How far some criteria rank the experts alike."""
        return self._agreement(run_id, tuple(criteria))

    def expert(self, run_id: str, layer: int, expert: int) -> ExpertView:
        """All that is known of one expert. Raises NotFoundError for one that the model does not have."""
        table = self._table(run_id)
        place = _place(table, layer, expert)
        experts, counted = self._experts(run_id), self._layer(run_id, layer)
        index = experts.index(layer, expert)
        assert index is not None  # the report has every expert of the routing table
        uses = top_prompts(counted.counts, 0, expert)
        with self._database.read() as session:
            prompts = _describe(session, run_id, uses)
        pairs = counted.coactivation
        return ExpertView(
            experts.row(index),
            topic_uses(table, place, expert),
            window_uses(table, place, expert),
            prompts,
            partners=[*pairs.partners((layer, expert))] if pairs else None,
            tokens=table.top_tokens.of(place, expert) if table.top_tokens else None,
        )

    def counts(self, run_id: str) -> PromptCounts:
        """The selections of every prompt in every layer: as large as the run, so for the worker and not for pages."""
        layers = [self._read_layer(run_id, layer).counts for layer in self._table(run_id).layers]
        return PromptCounts(
            layers[0].prompt_ids, np.concatenate([one.counts for one in layers], axis=2), layers[0].tokens
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

    def answer_changes(self, run_id: str, chosen: ChangeFilter = NO_FILTER) -> AnswerChanges:
        """Labels of the answers before and after the flagged experts were masked, counted and prompt by prompt."""
        with self._database.read() as session:
            _result(session, run_id)
            return answer_changes(session, find(session, run_id), chosen)

    def experts_csv(self, run_id: str) -> str:
        return experts_csv(self._readable(run_id))

    def report_html(self, run_id: str) -> str:
        """The report as one self-contained page."""
        return render_html(self._readable(run_id), self._table(run_id))

    def _readable(self, run_id: str) -> dict[str, Any]:
        """The report for renderers: its experts are unpacked as they are read, and not kept."""
        return {**self._report(run_id), EXPERTS: ExpertRows(self._experts(run_id))}

    def experts_xlsx(self, run_id: str) -> bytes:
        """The rows of experts.csv as a workbook, with a sheet on where they come from and what they mean."""
        return experts_xlsx(self._readable(run_id))

    def report_pdf(self, run_id: str) -> Pdf:
        """The report for a meeting. Takes seconds the first time; NotInstalledError where Pango is missing."""
        return self._pdf(run_id)

    def page_one(self, run_id: str) -> Summary:
        """What the report says on one page."""
        experts = self._experts(run_id)
        return summarise({**self._report(run_id), EXPERTS: experts.flagged()}, experts=len(experts))

    def _render_pdf(self, run_id: str) -> Pdf:
        return render_pdf(self._readable(run_id), self._table(run_id))

    def _read_report(self, run_id: str) -> dict[str, Any]:
        """With None where the experts belong."""
        with self._database.read() as session:
            report = unpack_report(_result(session, run_id).report)
        return {**report, EXPERTS: None}

    def _read_experts(self, run_id: str) -> ExpertTable:
        with self._database.read() as session:
            result = _result(session, run_id)
            if result.experts is not None:
                return ExpertTable.from_bytes(result.experts)
            return ExpertTable.of(unpack_report(result.report)[EXPERTS])

    def _read_table(self, run_id: str) -> RoutingTable:
        with self._database.read() as session:
            return RoutingTable.from_bytes(_result(session, run_id).routing)

    def _read_layer(self, run_id: str, layer: int) -> LayerCounts:
        with self._database.read() as session:
            row = session.get(RunLayerRow, (run_id, layer))
            if row is not None:
                return LayerCounts.from_bytes(row.cells, layer)
            counts = PromptCounts.from_bytes(_result(session, run_id).counts)
        return LayerCounts.of(layer, self._table(run_id), counts)

    def _read_order(self, run_id: str, name: str) -> ExpertOrder:
        table = self._table(run_id)
        return order_by_topic(table) if name == "topic" else order_by_effect(table, self._experts(run_id))

    def _read_agreement(self, run_id: str, criteria: tuple[str, ...]) -> RankAgreement:
        table = self._experts(run_id)
        return rank_agreement({name: table.columns[f"score_{name}"] for name in criteria})


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
