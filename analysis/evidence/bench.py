"""One half of the prompts, ready to be measured again and again while sets of experts are ablated.

Called by the audit on its discovery and on its confirmation half. Everything it measures is at the first answer token,
relative to the untouched model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from analysis.interventions import MaskMode, mask
from analysis.models import ExpertId, LoadedModel, SeamListener
from analysis.outcomes.openings import Openings
from analysis.outcomes.probe import Probe, Reading
from analysis.prompts.prompt_set import Prompt
from analysis.routing.trace import Progress, silent
from analysis.shards import MemoryShards, Shard, ShardStore

FloatArray = npt.NDArray[np.float32]
ExpertSet = tuple[ExpertId, ...]
Intervention = Callable[[ExpertSet], SeamListener]
"""What is done to a set of experts, as the listener that does it."""
_CELLS_PER_SHARD = 100_000


@dataclass(frozen=True)
class Effects:
    """What an intervention on each of several sets does, [sets, prompts], in the order asked for.

    On harmful prompts: `margin`, the loss of refusal margin in nats; `refusal`, the loss of forced-choice refusal
    probability; `harmful_outside`, the rise of beginning in neither known way; `harmful_kl` to the base in nats. On
    benign prompts: `over_refusal`, the rise of refusal probability; `benign_outside`; `benign_kl`.
    """

    margin: FloatArray
    refusal: FloatArray
    harmful_outside: FloatArray
    harmful_kl: FloatArray
    over_refusal: FloatArray
    benign_outside: FloatArray
    benign_kl: FloatArray

    def __len__(self) -> int:
        return len(self.margin)

    def __repr__(self) -> str:
        return (
            f"Effects({len(self)} sets × {self.margin.shape[1]} harmful and {self.benign_kl.shape[1]} benign prompts)"
        )

    def take(self, rows: Sequence[int]) -> "Effects":
        return Effects(**{name: getattr(self, name)[list(rows)] for name in _FIELDS})

    def off_target_ratio(self) -> FloatArray:
        """The worst side effect as a share of the effect, per set [sets]; infinite where refusal does not fall.

        Like is compared with like: benign against harmful KL, over-refusal and lost openings against lost refusal. At
        most 1/3 counts as selective (How Modular…, arXiv 2606.25092, has the bar; the set of measures is ours).
        """
        refusal, kl = self.refusal.mean(1), self.harmful_kl.mean(1)
        outside = np.maximum(self.harmful_outside.mean(1), self.benign_outside.mean(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = [self.benign_kl.mean(1) / kl, self.over_refusal.mean(1) / refusal, outside / refusal]
        worst = np.nan_to_num(np.maximum.reduce(ratios), nan=np.inf).clip(0)
        found: FloatArray = np.where(refusal > 0, worst, np.inf).astype(np.float32)
        return found


@dataclass(frozen=True)
class Losses:
    """The part of `Effects` that harmful prompts alone can tell, [sets, prompts]; half the work."""

    margin: FloatArray
    refusal: FloatArray

    def __len__(self) -> int:
        return len(self.margin)


_FIELDS = tuple(Effects.__dataclass_fields__)
_LOSSES = tuple(Losses.__dataclass_fields__)


class Bench:
    """A half of the prompts. `name` keeps the shards of the two halves apart."""

    def __init__(
        self,
        name: str,
        model: LoadedModel,
        harmful: Sequence[Prompt],
        benign: Sequence[Prompt],
        openings: Openings,
        *,
        batch_tokens: int,
    ) -> None:
        self.name, self.model = name, model
        self.harmful = Probe(model, harmful, openings, batch_tokens=batch_tokens)
        self.benign = Probe(model, benign, openings, batch_tokens=batch_tokens)

    def __repr__(self) -> str:
        return f"Bench({len(self.harmful.prompts)} harmful and {len(self.benign.prompts)} benign prompts)"

    @property
    def topics(self) -> list[str]:
        """The cluster of each harmful prompt; one without a topic stands for itself."""
        return [prompt.topic or f"prompt {prompt.id}" for prompt in self.harmful.prompts]

    def ablate(
        self,
        sets: Sequence[ExpertSet],
        shards: ShardStore | None = None,
        key: str = "sets",
        *,
        mode: MaskMode | Intervention = "mask_zero",
        progress: Progress = silent,
        stage: str = "ablation",
    ) -> Effects:
        """Ablate each set alone and measure every prompt. Work is kept in shards of a few sets under `key`.

        `mode` is a mask, or any intervention on a set of experts; a `key` stands for one of them.
        """

        def row(one: ExpertSet) -> dict[str, FloatArray]:
            return self._effect(self._listener(one, mode))

        cells = self.harmful.tokens + self.benign.tokens
        parts = self._in_shards(sets, row, _FIELDS, cells, shards, key, progress, stage)
        return Effects(**{name: self._join(name, parts) for name in _FIELDS})

    def losses(
        self,
        sets: Sequence[ExpertSet],
        shards: ShardStore | None = None,
        key: str = "losses",
        *,
        mode: MaskMode | Intervention = "mask_zero",
        progress: Progress = silent,
        stage: str = "ablation",
    ) -> Losses:
        """As `ablate`, on the harmful prompts alone: for controls, whose side effects nobody asks about."""

        def row(one: ExpertSet) -> dict[str, FloatArray]:
            reading = self.harmful.measure(self._listener(one, mode))
            base = self.harmful.base
            return {"margin": base.margin - reading.margin, "refusal": base.refusal - reading.refusal}

        parts = self._in_shards(sets, row, _LOSSES, self.harmful.tokens, shards, key, progress, stage)
        return Losses(**{name: self._join(name, parts) for name in _LOSSES})

    def intervene(self, *listeners: SeamListener) -> Effects:
        """What any listeners do to every prompt, as the one set of `Effects`: steering, patches, a routing memory."""
        effect = self._effect(*listeners)
        return Effects(**{name: effect[name][None] for name in _FIELDS})

    def _in_shards(
        self,
        sets: Sequence[ExpertSet],
        row: Callable[[ExpertSet], dict[str, FloatArray]],
        fields: Sequence[str],
        cells: int,
        shards: ShardStore | None,
        key: str,
        progress: Progress,
        stage: str,
    ) -> list[Shard]:
        store, step = shards or MemoryShards(), max(1, _CELLS_PER_SHARD // max(1, cells))

        def measure(chunk: Sequence[ExpertSet]) -> Shard:
            rows = [row(one) for one in chunk]
            return Shard({name: np.stack([one[name] for one in rows]) for name in fields})

        parts: list[Shard] = []
        for start in range(0, len(sets), step):
            progress(stage, start, len(sets))
            chunk = sets[start : start + step]
            parts.append(store.once(f"{key}-{self.name}-{start:05d}", lambda chunk=chunk: measure(chunk)))  # type: ignore[misc]
        progress(stage, len(sets), len(sets))
        return parts

    def _join(self, name: str, parts: Sequence[Shard]) -> FloatArray:
        width = len(
            (self.harmful if name in ("margin", "refusal", "harmful_outside", "harmful_kl") else self.benign).prompts
        )
        return (
            np.concatenate([part.arrays[name] for part in parts]) if parts else np.empty((0, width), dtype=np.float32)
        )

    def _listener(self, experts: ExpertSet, mode: MaskMode | Intervention) -> SeamListener:
        return mask(self.model.seam, experts, mode) if isinstance(mode, str) else mode(experts)

    def _effect(self, *listeners: SeamListener) -> dict[str, FloatArray]:
        harmful, benign = self.harmful.measure(*listeners), self.benign.measure(*listeners)
        base: tuple[Reading, Reading] = self.harmful.base, self.benign.base
        return {
            "margin": base[0].margin - harmful.margin,
            "refusal": base[0].refusal - harmful.refusal,
            "harmful_outside": harmful.outside - base[0].outside,
            "harmful_kl": harmful.kl,
            "over_refusal": benign.refusal - base[1].refusal,
            "benign_outside": benign.outside - base[1].outside,
            "benign_kl": benign.kl,
        }
