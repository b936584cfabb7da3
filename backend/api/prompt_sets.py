"""/api/v1/prompt-sets"""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import UploadFile

from analysis.errors import Fault, InputError
from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Listing, NewPromptSet, PromptOut
from backend.services import PromptSetInfo, Services

router = APIRouter(prefix="/api/v1/prompt-sets", tags=["prompt sets"])
_BODY = TypeAdapter(NewPromptSet)
_UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, JSONL, JSON or txt."},
        "name": {"type": "string"},
    },
}
_REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": _UPLOAD_SCHEMA},
            "application/json": {"schema": NewPromptSet.model_json_schema()},
        },
    }
}


@router.post("", status_code=201, openapi_extra=_REQUEST_BODY)
async def create_prompt_set(request: Request, services: ServicesDep) -> PromptSetInfo:
    """Store a prompt set, from a file or from JSON. Faults name the row and the column; nothing is half stored."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media == "multipart/form-data":
        return await _from_upload(request, services)
    if media == "application/json":
        return await run_in_threadpool(_from_json, await request.body(), services)
    raise InputError(f"Content-Type is '{media}': send multipart/form-data with a file, or application/json")


@router.get("")
def list_prompt_sets(
    services: ServicesDep, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> Listing[PromptSetInfo]:
    return Listing[PromptSetInfo].of(services.prompt_sets.list(limit, cursor))


@router.get("/{set_id}")
def read_prompt_set(set_id: str, services: ServicesDep) -> PromptSetInfo:
    return services.prompt_sets.get(set_id)


@router.get("/{set_id}/prompts")
def list_prompts(
    set_id: str, services: ServicesDep, limit: LimitQuery = 100, offset: Annotated[int, Query(ge=0)] = 0
) -> Listing[PromptOut]:
    """The prompts in the file's order. `next` is the next offset."""
    total = services.prompt_sets.get(set_id).prompts
    found = services.prompt_sets.prompts(set_id, limit, offset)
    following = offset + len(found)
    return Listing[PromptOut](
        items=[
            PromptOut(id=p.id, text=p.text, label=p.label, topic=p.topic, pair_id=p.pair_id, group=p.group)
            for p in found
        ],
        count=total,
        next=str(following) if found and following < total else None,
    )


async def _from_upload(request: Request, services: Services) -> PromptSetInfo:
    async with request.form(max_files=1, max_fields=8) as form:
        file, name = form.get("file"), form.get("name")
        if not isinstance(file, UploadFile):
            raise InputError("the form has no file: send it in the field 'file'", field="file")
        data, filename = await file.read(), file.filename or "prompts"
    return await run_in_threadpool(services.prompt_sets.create, data, filename, name if isinstance(name, str) else None)


def _from_json(data: bytes, services: Services) -> PromptSetInfo:
    try:
        body = _BODY.validate_json(data)
    except ValidationError as fault:
        faults = [Fault(str(e["msg"]), column=".".join(map(str, e["loc"])) or None) for e in fault.errors()]
        raise InputError(f"the body is not a prompt set: {faults[0]}", faults=faults) from fault
    if body.builtin is not None:
        return services.prompt_sets.register(f"builtin:{body.builtin.removeprefix('builtin:')}", body.organism)
    rows = json.dumps(body.prompts, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return services.prompt_sets.create(rows, "prompts.json", body.name)
