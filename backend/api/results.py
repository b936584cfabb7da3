"""/api/v1/runs/{id}/…: what a finished run found."""

import math
import re
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Response
from starlette.responses import JSONResponse, StreamingResponse

from backend.api.deps import DownloadQuery, ServicesDep
from backend.api.schemas import AnswerOut, HeatmapOut, Listing, PairsOut
from backend.services import Answer, AnswerChanges, ChangeFilter, ExpertView, Services, TopicDistances

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["results"])
Row = dict[str, Any]
QuantityQuery = Annotated[str, Query(description="frequency, probability, lift or difference (harmful − benign).")]
GroupQuery = Annotated[
    str, Query(description="all, harmful, benign, topic:NAME, topic:NAME/harmful or topic:NAME/benign.")
]
MinusQuery = Annotated[
    str | None,
    Query(description="A second group, whose values are subtracted: frequency, probability or lift of group − minus."),
]
WindowQuery = Annotated[str, Query(description="prompt, boundary or response.")]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
# A saved report must be safe to open from the server too: it may show, and nothing else.
_REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox allow-same-origin allow-modals"


@router.get("/report.json")
def read_report(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> Response:
    """The whole result as one document, see /api/v1/report.schema.json."""
    return whole_report(services, run_id, file_headers(services, run_id, "report.json", download))


@router.get("/report.html")
def read_report_page(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> Response:
    """The report as one self-contained page without scripts."""
    page = services.results.report_html(run_id)
    headers = {"Content-Security-Policy": _REPORT_POLICY, **file_headers(services, run_id, "report.html", download)}
    return Response(page, media_type="text/html", headers=headers)


@router.get("/report.pdf", response_class=Response, responses={200: {"content": {"application/pdf": {}}}})
def read_report_pdf(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> Response:
    """The report for a meeting, on A4, with one page in front that says it all. 501 where Pango is not installed."""
    pdf = services.results.report_pdf(run_id)
    headers = file_headers(services, run_id, "report.pdf", download)
    return Response(pdf.content, media_type="application/pdf", headers=headers)


@router.get("/certificate.json")
def read_certificate(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> JSONResponse:
    """Whether the trace agrees with what the model did, check by check."""
    certificate = services.results.certificate(run_id)
    return JSONResponse(certificate, headers=file_headers(services, run_id, "certificate.json", download))


@router.get("/experts.csv")
def read_experts_csv(run_id: str, services: ServicesDep) -> Response:
    """Every expert, best first, for a spreadsheet."""
    return _csv(services.results.experts_csv(run_id), file_headers(services, run_id, "experts.csv", True))


@router.get("/experts.xlsx", response_class=Response, responses={200: {"content": {XLSX: {}}}})
def read_experts_xlsx(run_id: str, services: ServicesDep) -> Response:
    """The same rows as a workbook, with a sheet on where they come from and what each column means."""
    headers = file_headers(services, run_id, "experts.xlsx", True)
    return Response(services.results.experts_xlsx(run_id), media_type=XLSX, headers=headers)


@router.get("/heatmap")
def read_heatmap(
    run_id: str,
    services: ServicesDep,
    quantity: QuantityQuery = "frequency",
    group: GroupQuery = "all",
    window: WindowQuery = "prompt",
    minus: MinusQuery = None,
) -> HeatmapOut:
    """One quantity for every layer and expert, or the difference of two groups in it."""
    heatmap = services.results.heatmap(run_id, quantity, group, window, minus)
    return HeatmapOut(**{**vars(heatmap), "values": nested(heatmap.values)})


@router.get("/heatmap.csv")
def read_heatmap_csv(
    run_id: str,
    services: ServicesDep,
    quantity: QuantityQuery = "frequency",
    group: GroupQuery = "all",
    window: WindowQuery = "prompt",
    minus: MinusQuery = None,
) -> Response:
    """The same numbers as rows of layer, expert, value."""
    text = services.results.heatmap_csv(run_id, quantity, group, window, minus)
    return _csv(text, file_headers(services, run_id, f"{quantity}.csv", True))


@router.get("/coactivation")
def read_coactivation(
    run_id: str,
    services: ServicesDep,
    layer: Annotated[int, Query(description="A MoE layer's index in the model.")],
    quantity: Annotated[str, Query(description="probability P(j | i), its lift over P(j), or tokens.")] = "probability",
    window: Annotated[str, Query(description="prompt or response.")] = "prompt",
) -> PairsOut:
    """Which experts of a layer are selected together, over the tokens of all prompts."""
    pairs = services.results.coactivation(run_id, layer, quantity, window)
    return PairsOut(**{**vars(pairs), "values": nested(pairs.values)})


@router.get("/topics")
def read_topics(run_id: str, services: ServicesDep) -> Listing[Row]:
    """The five contrasts of topic and safety with their overlaps, per layer."""
    return Listing[Row].whole(services.results.topics(run_id))


@router.get("/topics/matrix")
def read_topic_matrix(
    run_id: str,
    services: ServicesDep,
    prompts: Annotated[str, Query(description="benign or harmful.")] = "benign",
    layer: Annotated[int | None, Query(description="A MoE layer; without it the mean over layers.")] = None,
) -> TopicDistances:
    """How far apart each two topics are routed; null where there is no pair of prompts."""
    return services.results.topic_matrix(run_id, prompts, layer)


@router.get("/experts")
def list_experts(
    run_id: str,
    services: ServicesDep,
    limit: Annotated[int, Query(description="Experts on a page, 1 to 5000.")] = 1_000,
    cursor: str | None = None,
) -> Listing[Row]:
    """Every expert, best first."""
    return Listing[Row].of(services.results.list_experts(run_id, limit, cursor))


@router.get("/experts/{layer}/{expert}")
def read_expert(run_id: str, layer: int, expert: int, services: ServicesDep) -> ExpertView:
    """All that is known of one expert: its row, its use by topic and window, the prompts that use it most, the experts
    that it works with and the tokens that most often have it as their first expert."""
    return services.results.expert(run_id, layer, expert)


@router.get("/answers")
def list_answers(
    run_id: str,
    services: ServicesDep,
    prompt_id: str | None = None,
    texts: Annotated[bool, Query(description="Send the answers' texts too.")] = False,
) -> Listing[AnswerOut]:
    """The judged answers; their texts only when asked for, and never where the server hides them."""
    shown = texts and services.content.shows_completions
    answers = services.results.answers(run_id, prompt_id)
    return Listing[AnswerOut].whole([_answer(answer, shown) for answer in answers])


@router.get("/answers/changes")
def read_answer_changes(
    run_id: str,
    services: ServicesDep,
    topic: Annotated[str | None, Query(description="Prompts of this topic alone.")] = None,
    label: Annotated[str | None, Query(description="harmful or benign: the prompt's own label.")] = None,
    before: Annotated[str | None, Query(description="What the untouched model's answer was called.")] = None,
    after: Annotated[str | None, Query(description="What the answer was called with the flagged masked.")] = None,
) -> AnswerChanges:
    """Labels of the answers by the untouched model and with the flagged experts masked: `tables` count the prompts of
    the topic, `prompts` are those that pass every choice. Empty where nothing was masked."""
    return services.results.answer_changes(run_id, ChangeFilter(topic, label, before, after))


def _answer(answer: Answer, shown: bool) -> AnswerOut:
    span, text = (answer.span, answer.text) if shown else (None, None)
    return AnswerOut(
        prompt_id=answer.prompt_id,
        variant=answer.variant,
        label=answer.label,
        rule=answer.rule,
        margin=answer.margin,
        span=span,
        text=text,
        second_label=answer.second_label,
    )


def nested(values: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> list[list[float | None]]:
    """JSON has no NaN: null stands where nothing was observed."""
    return [[None if math.isnan(value) else value for value in row] for row in values.tolist()]


def whole_report(services: Services, run_id: str, headers: dict[str, str] | None = None) -> Response:
    """report.json, sent piece by piece: with 48,000 experts it has 74 MB."""
    return StreamingResponse(services.results.report_json(run_id), media_type="application/json", headers=headers)


def _csv(text: str, headers: dict[str, str]) -> Response:
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


def file_headers(services: Services, run_id: str, name: str, download: bool) -> dict[str, str]:
    """Headers that give the answer a file name, and have a browser save it where `download` asks for that.

    What leaves as a file leaves a trace: the audit log gets an entry.
    """
    services.audit_log.append("exports.run", run_id, {"file": name})
    run = re.sub(r"[^A-Za-z0-9]+", "-", services.runs.get(run_id).name).strip("-").lower()
    return {"Content-Disposition": f'{"attachment" if download else "inline"}; filename="{run}-{name}"'}
