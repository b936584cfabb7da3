"""Reads the token traces of a run: which prompts have one, and each of them."""

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from analysis.errors import NotFoundError
from analysis.routing.token_trace import TokenTrace
from backend.db.tables import PromptRow, RunRow, TokenTraceRow
from backend.services.records import TracedPrompt


def traced_prompts(session: Session, run: RunRow) -> list[TracedPrompt]:
    """The prompts whose tokens a run has kept, in the order of their set."""
    kept = exists().where(TokenTraceRow.run_id == run.id, TokenTraceRow.prompt_id == PromptRow.prompt_id)
    query = (
        select(PromptRow.prompt_id, PromptRow.topic, PromptRow.label, PromptRow.pair_id, PromptRow.group)
        .where(PromptRow.prompt_set_id == run.prompt_set_id, kept)
        .order_by(PromptRow.position)
    )
    return [TracedPrompt(*row) for row in session.execute(query)]


def token_trace(session: Session, run: RunRow, prompt_id: str) -> TokenTrace:
    """Raises NotFoundError, which says why, where the run has none of this prompt."""
    row = session.get(TokenTraceRow, (run.id, prompt_id))
    if row is None:
        raise NotFoundError(_missing(session, run, prompt_id))
    return TokenTrace.from_bytes(row.trace)


def _missing(session: Session, run: RunRow, prompt_id: str) -> str:
    kept = session.scalar(select(func.count()).select_from(TokenTraceRow).where(TokenTraceRow.run_id == run.id))
    name = f"run '{run.id}'"
    if not kept:
        return f"{name} has no tokens: it was made before they were kept. Start a new run on the same model and prompts"
    if _position(session, run, prompt_id) is None:
        return f"there is no prompt '{prompt_id}' in the set '{run.prompt_set.name}' of {name}"
    return (
        f"{name} kept the tokens of {kept} of the {run.prompt_set.prompts} prompts of its set, without '{prompt_id}': "
        f"choose one of GET /api/v1/runs/{run.id}/tokens, or run a smaller set that holds it"
    )


def _position(session: Session, run: RunRow, prompt_id: str) -> int | None:
    query = select(PromptRow.position).where(
        PromptRow.prompt_set_id == run.prompt_set_id, PromptRow.prompt_id == prompt_id
    )
    return session.scalar(query)
