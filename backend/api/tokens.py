"""/api/v1/runs/{id}/tokens: where single tokens of an audit's prompts and answers were routed."""

from typing import Annotated

from fastapi import APIRouter, Query

from backend.api.deps import ServicesDep
from backend.api.schemas import Listing, TokensOut
from backend.services import NO_EXPERT, TokenTrace, TracedPrompt, readable_texts

router = APIRouter(prefix="/api/v1/runs/{run_id}/tokens", tags=["results"])


@router.get("")
def list_traced_prompts(run_id: str, services: ServicesDep) -> Listing[TracedPrompt]:
    """The prompts whose tokens the run has kept: all of them, or a sample of whole pairs over all topics."""
    return Listing[TracedPrompt].whole(services.results.traced_prompts(run_id))


@router.get("/{prompt_id:path}")
def read_tokens(
    run_id: str,
    prompt_id: str,
    services: ServicesDep,
    layer: Annotated[int | None, Query(description="One MoE layer; without it all of them.")] = None,
    texts: Annotated[bool, Query(description="Send the tokens' texts too.")] = False,
) -> TokensOut:
    """Which experts every token was sent to, and with what weight; texts only when asked for, and never those that the
    server hides."""
    trace = services.results.tokens(run_id, prompt_id)
    shown = readable_texts(trace, services.settings) if texts else None
    return _out(trace, list(range(len(trace.layers))) if layer is None else [trace.place(layer)], shown)


def _out(trace: TokenTrace, places: list[int], texts: list[str | None] | None) -> TokensOut:
    none = trace.ids[places] == NO_EXPERT
    ids, weights = trace.ids[places].astype(object), trace.weights[places].astype(float).round(5).astype(object)
    ids[none] = weights[none] = None
    return TokensOut(
        prompt_id=trace.prompt_id,
        layers=[trace.layers[place] for place in places],
        experts=trace.experts,
        parts=[*trace.parts],
        special=[*trace.special],
        ids=ids.tolist(),
        weights=weights.tolist(),
        tokens=texts,
    )
