"""Which experts work together: P(j selected | i selected) over all pairs of the k experts that a token selects.

`analysis.routing.pair_counter` counts on the device, `Coactivation` holds the sums of a trace and is stored with the
routing table; the report, the API and the expert page read it. No torch here. Tokens of all prompts are pooled, since a
prompt that never selects i has no conditional probability of its own to average. OLMoE (arXiv 2409.02060) looks at
co-activation; all pairs of the selected set count here, whatever their order of weight.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from analysis.errors import InputError
from analysis.routing.sparse import SparseCounts

PAIR_WINDOWS = ("prompt", "response")
PAIR_CELLS = 1 << 26
"""Most counters of a batch, windows x layers x experts x experts: 256 MiB. 94 layers of 512 experts need 49 million."""
FEWEST_TOKENS = 10
"""An expert selected by fewer tokens is not named as a layer's strongest co-activation."""


def countable(layers: int, experts: int) -> bool:
    """Whether the counters of a model of this size stay within their bound."""
    return len(PAIR_WINDOWS) * layers * experts**2 <= PAIR_CELLS


def upper_triangle(cells: npt.NDArray[np.int64], experts: int) -> npt.NDArray[np.int64]:
    """Flat indices into [..., experts, experts], on or above the diagonal, as indices into [..., E (E + 1) / 2]."""
    block, inside = np.divmod(cells, experts**2)
    row, column = np.divmod(inside, experts)
    before = row * experts - row * (row - 1) // 2  # cells of the rows above
    flat: npt.NDArray[np.int64] = block * (experts * (experts + 1) // 2) + before + column - row
    return flat


@dataclass(frozen=True)
class Partner:
    """An expert that works with another: P(partner | expert), its `lift` over P(partner), and in how many tokens."""

    expert: int
    probability: float
    lift: float
    tokens: int


@dataclass(frozen=True)
class Coactivation:
    """`pairs` [windows, layers, E (E + 1) / 2]: tokens that select both experts, the upper triangle row by row; on its
    diagonal those that select the expert at all. `tokens` [windows] are all tokens. `layers` are the model's indices.
    """

    layers: tuple[int, ...]
    experts: int
    pairs: npt.NDArray[np.uint32]
    tokens: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls,
        layers: tuple[int, ...],
        pairs: SparseCounts,
        selections: npt.NDArray[np.int64],
        tokens: npt.NDArray[np.int64],
    ) -> "Coactivation":
        """From the counted pairs (cells of [windows, layers, E, E] above the diagonal), the selections
        [windows, layers, E] and the tokens [windows].
        """
        experts = selections.shape[-1]
        found = SparseCounts(upper_triangle(pairs.cells, experts), pairs.counts)
        triangle = found.dense((*selections.shape[:-1], experts * (experts + 1) // 2))
        one = np.arange(experts)
        triangle[..., upper_triangle(one * experts + one, experts)] = selections
        return cls(layers, experts, triangle, tokens)

    def __repr__(self) -> str:
        size = f"{len(self.layers)} layers × {self.experts} experts"
        return f"Coactivation({size}, {', '.join(f'{n:,} {w} tokens' for w, n in self._by_window())})"

    def counts(self, layer: int, window: str = "prompt") -> npt.NDArray[np.int64]:
        """[experts, experts] tokens that select both; the diagonal counts those that select the one."""
        triangle = self.pairs[self._window(window), self._place(layer)]
        square = np.zeros((self.experts, self.experts), dtype=np.int64)
        square[np.triu_indices(self.experts)] = triangle
        return square + np.triu(square, 1).T

    def probability(self, layer: int, window: str = "prompt") -> npt.NDArray[np.float64]:
        """[experts i, experts j]: P(j selected | i selected). NaN where i was never selected; 1 on the diagonal."""
        counts = self.counts(layer, window)
        selected = counts.diagonal()[:, None].astype(np.float64)
        shares: npt.NDArray[np.float64] = np.divide(
            counts, selected, out=np.full(counts.shape, np.nan), where=selected > 0
        )
        return shares

    def lift(self, layer: int, window: str = "prompt") -> npt.NDArray[np.float64]:
        """[experts i, experts j]: P(j | i) / P(j), what independence would make 1. NaN where either never occurs.

        The k experts of a token are all different, so that even without any preference the average is a little below
        1: (k − 1) / (k − k/E).
        """
        alone = self.counts(layer, window).diagonal() / max(1, self.tokens[self._window(window)])
        given = self.probability(layer, window)
        ratio: npt.NDArray[np.float64] = np.divide(given, alone, out=np.full(given.shape, np.nan), where=alone > 0)
        return ratio

    def partners(self, expert: tuple[int, int], top: int = 8, window: str = "prompt") -> tuple[Partner, ...]:
        """The `top` experts of its layer that work most often with (layer, expert), the most probable first."""
        layer, i = expert
        if not 0 <= i < self.experts:
            raise InputError(f"there is no expert {i} in layer {layer}: experts are 0 to {self.experts - 1}")
        counts = self.counts(layer, window)[i]
        probability, lift = self.probability(layer, window)[i], self.lift(layer, window)[i]
        order = [int(j) for j in np.argsort(-counts, kind="stable") if j != i and counts[j] > 0][:top]
        return tuple(Partner(j, float(probability[j]), float(lift[j]), int(counts[j])) for j in order)

    def strongest(self, layer: int) -> tuple[int, Partner] | None:
        """The expert, and its partner with the highest P(partner | expert) in the prompt window; None without any.

        Experts that fewer than FEWEST_TOKENS tokens select are passed over.
        """
        probability = self.probability(layer)
        selected = self.counts(layer).diagonal()
        probability[selected < FEWEST_TOKENS] = np.nan
        np.fill_diagonal(probability, np.nan)
        if not np.nanmax(probability, initial=0) > 0:
            return None
        i = int(np.nanargmax(probability) // self.experts)
        return i, self.partners((layer, i), top=1)[0]

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For a blob; `from_arrays` is the inverse."""
        return {"pairs": self.pairs, "pair_tokens": self.tokens}

    @classmethod
    def from_arrays(
        cls, arrays: dict[str, npt.NDArray[Any]], layers: tuple[int, ...], experts: int
    ) -> "Coactivation | None":
        """None where the blob has none: the model is too wide, or the run older than the counts."""
        if "pairs" not in arrays:
            return None
        return cls(layers, experts, arrays["pairs"], arrays["pair_tokens"])

    def _by_window(self) -> list[tuple[str, int]]:
        return list(zip(PAIR_WINDOWS, self.tokens.tolist(), strict=True))

    def _place(self, layer: int) -> int:
        if layer not in self.layers:
            raise InputError(
                f"layer {layer} has no experts: MoE layers are {', '.join(map(str, self.layers))}", field="layer"
            )
        return self.layers.index(layer)

    def _window(self, window: str) -> int:
        if window not in PAIR_WINDOWS:
            raise InputError(
                f"co-activation is not counted in window '{window}': expected one of {', '.join(PAIR_WINDOWS)}",
                field="window",
            )
        return PAIR_WINDOWS.index(window)
