"""/api/v1/models"""

from fastapi import APIRouter

from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Listing, NewModel
from backend.services import ModelInfo, ModelInspection

router = APIRouter(prefix="/api/v1/models", tags=["models"])


@router.post("", status_code=201)
def register_model(body: NewModel, services: ServicesDep) -> ModelInfo:
    """Inspect a folder, hub id or organism:NAME and register it. Nothing of it is executed and no weight is loaded."""
    return services.models.register(body.ref, body.revision)


@router.post("/inspect")
def inspect_model(body: NewModel, services: ServicesDep) -> ModelInspection:
    """What a folder, hub id or organism:NAME is made of: layers, experts, parameters, memory, whether it can be traced.
    Nothing is stored, nothing of it is executed and no weight is loaded."""
    return services.models.inspect(body.ref, body.revision)


@router.get("")
def list_models(services: ServicesDep, limit: LimitQuery = 50, cursor: CursorQuery = None) -> Listing[ModelInfo]:
    return Listing[ModelInfo].of(services.models.list(limit, cursor))


@router.get("/{model_id}")
def read_model(model_id: str, services: ServicesDep) -> ModelInfo:
    return services.models.get(model_id)
