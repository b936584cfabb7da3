"""Signals whose truth is known: each topic has a routing of its own, and harm shifts it as a test says."""

import numpy as np
from scipy.linalg import hadamard

from analysis.detectors.signals import Signals
from analysis.prompts.prompt_set import Prompt

LAYERS, EXPERTS, TOKENS, HIDDEN = 2, 8, 24, 6


def signals(
    prompts: list[Prompt], shift: dict[str, np.ndarray] | None = None, *, topics: float = 1.0, seed: int = 0
) -> Signals:
    """`shift[topic]` [layers, experts] is added to the router logits of that topic's harmful prompts."""
    rng = np.random.default_rng(seed)
    own = {topic: topics * rng.normal(size=(LAYERS, EXPERTS)) for topic in sorted({p.topic or "" for p in prompts})}
    none = np.zeros((LAYERS, EXPERTS))
    logits = np.stack(
        [
            own[p.topic or ""]
            + (shift or {}).get(p.topic or "", none) * (p.label == "harmful")
            + 0.3 * rng.normal(size=none.shape)
            for p in prompts
        ]
    )
    chance = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    load = np.array([[rng.multinomial(TOKENS, p) / TOKENS for p in one] for one in chance])
    inputs = np.tanh(logits @ rng.normal(size=(EXPERTS, HIDDEN))).astype(np.float32)
    tokens = rng.integers(5, 30, size=len(prompts))
    return Signals(tuple(prompts), (1, 3), (EXPERTS,) * LAYERS, (1, 3), load, logits, inputs, tokens)


def pairs(topics: int, each: int) -> list[Prompt]:
    """`each` harmful prompts with their benign twins in every topic, whose words say nothing."""
    return [
        Prompt(f"{label[0]}{t}-{i}", "the same words", label, f"topic {t:02d}", f"{t}-{i}")
        for t in range(topics)
        for i in range(each)
        for label in ("harmful", "benign")
    ]


def one_direction(topics: int, size: float = 2.0) -> dict[str, np.ndarray]:
    """Harm is the same everywhere: a detector can carry it over to topics that it has not seen."""
    direction = size * np.random.default_rng(99).choice([-1.0, 1.0], size=(LAYERS, EXPERTS))
    return {f"topic {t:02d}": direction for t in range(topics)}


def own_directions(size: float = 2.0) -> dict[str, np.ndarray]:
    """Harm looks otherwise in each of eight topics, at right angles to all others: nothing carries over."""
    rows = hadamard(LAYERS * EXPERTS)[[1, 2, 3, 4, 9, 10, 11, 12]]
    rows[-2:] *= -1  # so that no single expert has the same sign in all topics
    return {f"topic {t:02d}": size * row.reshape(LAYERS, EXPERTS) for t, row in enumerate(rows)}
