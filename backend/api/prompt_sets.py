"""/api/v1/prompt-sets"""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import UploadFile

from analysis.errors import Fault, InputError
from backend.api.deps import CursorQuery, LimitQuery, ServicesDep
from backend.api.schemas import Listing, NewPromptSet, PromptOut
from backend.services import (
    Balance,
    ImportOptions,
    ImportPreview,
    PromptFilter,
    PromptSetInfo,
    Services,
    import_options,
)

router = APIRouter(prefix="/api/v1/prompt-sets", tags=["prompt sets"])
_BODY = TypeAdapter(NewPromptSet)
_UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "CSV, JSONL, JSON or txt."},
        "name": {"type": "string"},
        "columns": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": 'Which column is which, such as {"prompt": "question", "label": "class"}. '
            "Without it the header has to be ExpertScope's or a known set's.",
        },
        "labels": {
            "type": "string",
            "contentMediaType": "application/json",
            "description": 'What the words of the label column mean: harmful, benign or "" (no label), such as '
            '{"unsafe": "harmful", "*": "benign"}; "*" is every other one.',
        },
        "duplicates": {"type": "string", "description": "keep, exact or normalised: which later ones are left out."},
        "conflicts": {
            "type": "string",
            "description": "refuse, keep, first or leave_out: the same prompt under different labels.",
        },
    },
}
_PREVIEW_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _UPLOAD_SCHEMA}}}
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


@router.post("/preview", openapi_extra=_PREVIEW_BODY)
async def preview_prompt_set(request: Request, services: ServicesDep) -> ImportPreview:
    """What a file would become: its columns, first rows, duplicates, balance and faults. Nothing is stored.

    Takes the same form as storing does. Without `columns` they are guessed, and `mapping` says how.
    """
    upload = await _upload(request)
    return await run_in_threadpool(services.prompt_sets.preview, upload.data, upload.filename, upload.options)


@router.get("")
def list_prompt_sets(
    services: ServicesDep, limit: LimitQuery = 50, cursor: CursorQuery = None
) -> Listing[PromptSetInfo]:
    return Listing[PromptSetInfo].of(services.prompt_sets.list(limit, cursor))


@router.get("/{set_id}")
def read_prompt_set(set_id: str, services: ServicesDep) -> PromptSetInfo:
    return services.prompt_sets.get(set_id)


@router.get("/{set_id}/balance")
def read_balance(set_id: str, services: ServicesDep) -> Balance:
    """The set's prompts by topic and label, with matched pairs."""
    return services.prompt_sets.balance(set_id)


@router.get("/{set_id}/prompts")
def list_prompts(
    set_id: str,
    services: ServicesDep,
    limit: LimitQuery = 100,
    offset: Annotated[int, Query(ge=0)] = 0,
    label: Annotated[str | None, Query(description="harmful, benign, jailbreak or unlabelled.")] = None,
    topic: str | None = None,
    search: Annotated[str | None, Query(description="A part of the id, or of the text where it may be shown.")] = None,
) -> Listing[PromptOut]:
    """The prompts in the file's order; null texts where the server hides prompts. `next` is the next offset."""
    which = PromptFilter(label, topic, search)
    total = services.prompt_sets.count(set_id, which)
    found = services.prompt_sets.prompts(set_id, limit, offset, which)
    following = offset + len(found)
    text = services.content.prompt
    return Listing[PromptOut](
        items=[
            PromptOut(id=p.id, text=text(p.text), label=p.label, topic=p.topic, pair_id=p.pair_id, group=p.group)
            for p in found
        ],
        count=total,
        next=str(following) if found and following < total else None,
    )


@dataclass(frozen=True)
class _Upload:
    """A file and how to read it, as a form brought them."""

    data: bytes
    filename: str
    name: str | None
    options: ImportOptions


async def _upload(request: Request) -> _Upload:
    async with request.form(max_files=1, max_fields=8) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InputError("the form has no file: send it in the field 'file'", field="file")
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        data, filename = await file.read(), file.filename or "prompts"
    options = import_options(
        _object(texts, "columns"), _object(texts, "labels"), texts.get("duplicates"), texts.get("conflicts")
    )
    return _Upload(data, filename, texts.get("name"), options)


def _object(texts: dict[str, str], field: str) -> dict[str, Any] | None:
    """A form field that holds a JSON object. Raises InputError for anything else."""
    if not texts.get(field):
        return None
    try:
        value = json.loads(texts[field])
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InputError(f'{field} is no JSON object: expected one such as {{"prompt": "question"}}', field=field)
    return value


async def _from_upload(request: Request, services: Services) -> PromptSetInfo:
    upload = await _upload(request)
    return await run_in_threadpool(
        services.prompt_sets.create, upload.data, upload.filename, upload.name, upload.options
    )


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
