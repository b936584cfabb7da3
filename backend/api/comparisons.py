"""/api/v1/runs/{a}/compare/{b}: two finished audits side by side."""

from fastapi import APIRouter

from backend.api.deps import ServicesDep
from backend.api.results import GroupQuery, QuantityQuery, WindowQuery, nested
from backend.api.schemas import HeatmapOut
from backend.services import Comparison

router = APIRouter(prefix="/api/v1/runs/{a}/compare/{b}", tags=["comparisons"])


@router.get("")
def compare_runs(a: str, b: str, services: ServicesDep) -> Comparison:
    """What changed from A to B: outcomes paired prompt by prompt where the same prompts were answered, routing, flagged
    experts, rankings. Every difference is B − A."""
    return services.comparisons.compare(a, b)


@router.get("/heatmap")
def compare_heatmaps(
    a: str,
    b: str,
    services: ServicesDep,
    quantity: QuantityQuery = "frequency",
    group: GroupQuery = "all",
    window: WindowQuery = "prompt",
) -> HeatmapOut:
    """B − A of frequency, probability or lift for every layer and expert of two models of one shape."""
    heatmap = services.comparisons.heatmap(a, b, quantity, group, window)
    return HeatmapOut(**{**vars(heatmap), "values": nested(heatmap.values)})
