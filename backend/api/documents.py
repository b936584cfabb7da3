"""/api/v1/runs/{id}/document and its like: the results of runs that are no audits."""

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse
from starlette.responses import JSONResponse

from backend.api.deps import DownloadQuery, ServicesDep
from backend.api.results import file_headers, whole_report
from backend.services import Services

router = APIRouter(prefix="/api/v1/runs/{run_id}", tags=["documents"])


@router.get("/document")
def read_document(run_id: str, services: ServicesDep) -> Response:
    """The run's whole result, whatever its kind; `schema` says which it is."""
    audit = services.runs.get(run_id).kind == "audit"
    return whole_report(services, run_id) if audit else JSONResponse(services.documents.get(run_id))


@router.get("/trace.json")
def read_trace(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> JSONResponse:
    """What a run of kind trace saw: certificate, routing, load."""
    return _document(services, run_id, "trace.json", download)


@router.get("/mask.json")
def read_mask(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> JSONResponse:
    """What masking the experts of a run of kind mask does."""
    return _document(services, run_id, "mask.json", download)


@router.get("/detector.json")
def read_detector(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> JSONResponse:
    """How well the detector of a run of kind detect does, beside its baselines."""
    return _document(services, run_id, "detector.json", download)


@router.get("/tune.json")
def read_tune(run_id: str, services: ServicesDep, download: DownloadQuery = False) -> JSONResponse:
    """What tuning the experts of a run of kind tune does, and where they stand among their controls."""
    return _document(services, run_id, "tune.json", download)


@router.get("/adapter.zip")
def read_adapter(run_id: str, services: ServicesDep) -> FileResponse:
    """The hardened experts as a PEFT adapter; a run under stress has none."""
    return _saved(services, run_id, "adapter.zip")


@router.get("/detector.safetensors")
def read_detector_weights(run_id: str, services: ServicesDep) -> FileResponse:
    """The trained detector itself, as `expertscope detect` writes it."""
    return _saved(services, run_id, "detector.safetensors")


def _document(services: Services, run_id: str, name: str, download: bool) -> JSONResponse:
    content: dict[str, Any] = services.documents.named(run_id, name)
    return JSONResponse(content, headers=file_headers(services, run_id, name, download))


def _saved(services: Services, run_id: str, name: str) -> FileResponse:
    path = services.documents.file(run_id, name)
    headers = file_headers(services, run_id, name, True)
    return FileResponse(path, media_type="application/octet-stream", headers=headers)
