"""Lets a small classifier read the discovery half as sequences of selected experts, for the `lobotomy` criterion.

Called by the audit. The selections of single tokens are kept for these prompts only, as a shard; so is the reading.
"""

from analysis.criteria.lobotomy import FEWEST
from analysis.criteria.sequence_classifier import FOLDS, SequenceReading, read_sequences
from analysis.evidence.split import subset
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.selected import SelectedIds, selected_ids
from analysis.shards import Shard, ShardStore

PROMPTS = 100
TOKENS = 128


def sequence_reading(
    model: LoadedModel, discovery: PromptSet, shards: ShardStore, *, batch_tokens: int, seed: int
) -> SequenceReading | None:
    """The reading of at most `PROMPTS` harmful and as many benign prompts, each by its last `TOKENS` tokens.

    None when there are fewer than `FEWEST` of either. Costs one forward pass over these prompts and `FOLDS` trainings
    of some seconds at most.
    """
    if min(len(discovery.labelled("harmful")), len(discovery.labelled("benign"))) < FEWEST:
        return None
    prompts = [p for p in subset(discovery, PROMPTS, seed) if p.side is not None]
    stored = shards.once(
        "selected-ids",
        lambda: selected_ids(model, prompts, batch_tokens=batch_tokens, last_tokens=TOKENS).to_shard(),
    )
    shard = shards.once("sequence", lambda: _read(SelectedIds.from_shard(stored), prompts, seed))
    return SequenceReading(**shard.arrays)


def _read(selected: SelectedIds, prompts: list[Prompt], seed: int) -> Shard:
    reading = read_sequences(selected, [p.side == "harmful" for p in prompts], _clusters(prompts), seed=seed)
    return Shard(dict(reading.__dict__))


def _clusters(prompts: list[Prompt]) -> list[str]:
    """What stays together in a fold: topics, or pairs where there are not enough topics."""
    if len({p.topic for p in prompts if p.topic}) >= FOLDS:
        return [p.topic or f"prompt {p.id}" for p in prompts]
    return [f"pair {p.pair_id}" if p.pair_id else f"prompt {p.id}" for p in prompts]
