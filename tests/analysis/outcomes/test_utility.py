"""KL and perplexity over given words, against scipy and plain loops over whole forwards."""

from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.interventions import mask
from analysis.models import ExpertId, LoadedModel
from analysis.outcomes import utility
from analysis.outcomes.teacher_forcing import Continued
from analysis.outcomes.utility import OwnAnswers, TextFile
from analysis.prompts.prompt_set import PromptSet
from analysis.routing.encoding import encode
from analysis.routing.trace import Generated
from tests.analysis.outcomes.test_teacher_forcing import read

SAID = [Generated("", 70 + i, finished=True, tokens=tuple(70 + i + n for n in range(1 + i % 4))) for i in range(9)]


def distributions(model: LoadedModel, prompts: PromptSet, masked: bool) -> dict[int, np.ndarray]:
    """P(next token) at every token of each answer, read another way: token by token."""
    contexts = encode(model, prompts.prompts)
    texts = [Continued(c.tokens, said.tokens) for c, said in zip(contexts, SAID, strict=True)]
    found = read(model, texts, *([harm(model)] if masked else []), stepwise=True)
    return {row: np.exp(one) for row, one in found.items()}


def harm(model: LoadedModel):
    layer = model.seam.layers[0]
    return mask(model.seam, [ExpertId(layer.layer, e) for e in range(4)])


def test_kl_and_loss_are_those_of_whole_distributions(model: LoadedModel, some_prompts: PromptSet) -> None:
    own = OwnAnswers(model, some_prompts.prompts, SAID, batch_tokens=64)
    now = own.read(harm(model), stepwise=False)
    before, after = (distributions(model, some_prompts, masked) for masked in (False, True))
    assert own.exact
    assert own.covered == pytest.approx(1)
    for row, said in enumerate(SAID):
        kls = [scipy.stats.entropy(p, q) for p, q in zip(before[row], after[row], strict=True)]
        assert now.first_kl[row] == pytest.approx(kls[0], rel=1e-3, abs=1e-6)
        assert now.answer_kl[row] == pytest.approx(np.mean(kls), rel=1e-3, abs=1e-6)
        own_words = [-np.log(after[row][place, token]) for place, token in enumerate(said.tokens)]
        assert now.loss[row] == pytest.approx(np.mean(own_words), rel=1e-4)
    assert own.base.answer_kl.max() == 0
    assert own.read().answer_kl.max() < 1e-6


def test_with_few_tokens_kept_the_rest_is_one_token(
    tiny, some_prompts: PromptSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny("mixtral")
    whole = OwnAnswers(model, some_prompts.prompts, SAID, batch_tokens=64).read(harm(model), stepwise=False)
    monkeypatch.setattr(utility, "KEPT", 5)
    own = OwnAnswers(model, some_prompts.prompts, SAID, batch_tokens=64)
    now = own.read(harm(model), stepwise=False)
    before, after = (distributions(model, some_prompts, masked) for masked in (False, True))
    covered = []
    for row, said in enumerate(SAID):
        kls = [scipy.stats.entropy(before[row][0], after[row][0])]
        for p, q in zip(before[row][1:], after[row][1:], strict=True):
            best = sorted(range(len(p)), key=lambda token: -p[token])[:5]
            kept = [[side[token] for token in best] for side in (p, q)]
            kls.append(scipy.stats.entropy(*([*some, 1 - sum(some)] for some in kept)))
            covered.append((row, sum(kept[0])))
        assert now.answer_kl[row] == pytest.approx(np.mean(kls), rel=1e-3, abs=1e-6)
        # Merging tokens never adds divergence; what is left over is the rounding of float32.
        assert now.answer_kl[row] <= whole.answer_kl[row] + 1.2e-7
        assert len(said.tokens) == len(kls)
    np.testing.assert_allclose(now.first_kl, whole.first_kl, rtol=1e-6)
    assert not own.exact
    by_answer = [np.mean([p for row, p in covered if row == one] or [1.0]) for one in range(len(SAID))]
    assert own.covered == pytest.approx(np.mean(by_answer), rel=1e-4)


def test_the_base_may_be_read_under_something(tiny, some_prompts: PromptSet) -> None:
    model = tiny("olmoe")
    own = OwnAnswers(model, some_prompts.prompts, SAID, batch_tokens=64, under=(harm(model),))
    assert own.read(harm(model)).answer_kl.max() < 1e-6
    assert own.read().answer_kl.max() > 1e-3


def test_empty_answers_are_left_out(tiny, some_prompts: PromptSet) -> None:
    nothing = Generated("", None, finished=True)
    own = OwnAnswers(tiny("mixtral"), some_prompts.prompts, [nothing, *SAID[1:]], batch_tokens=64)
    assert own.prompts == some_prompts.prompts[1:]
    none = OwnAnswers(tiny("mixtral"), some_prompts.prompts[:1], [nothing], batch_tokens=64)
    assert (none.prompts, none.covered, none.base.loss.size) == ((), None, 0)


def test_a_text_is_read_in_windows(tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utility, "WINDOW", 10)
    model, path = tiny("mixtral"), tmp_path / "some.txt"
    path.write_text("a plain text of 24 bytes")
    text = TextFile.of(model, path)
    assert [1 + len(one.continuation) for one in text.windows] == [10, 10, 4]
    losses = text.losses(model, batch_tokens=64)
    found = read(model, text.windows, stepwise=True)
    for row, window in enumerate(text.windows):
        expected = -sum(found[row][place, token] for place, token in enumerate(window.continuation))
        assert losses[row] == pytest.approx([expected, len(window.continuation)], rel=1e-4)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"x", InputError, "has 1 tokens: expected at least 2"),
        (b"caf\xe9 and more", InputError, "is not UTF-8: byte 3 is wrong"),
        (b"a" * (2**20 + 1), TooLargeError, "larger than 1 MiB"),
        (None, NotFoundError, "there is no file 'some.txt'"),
    ],
)
def test_a_text_that_cannot_be_used(tiny, tmp_path: Path, content: bytes | None, error, words: str) -> None:
    path = tmp_path / "some.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=words) as refused:
        TextFile.of(tiny("mixtral"), path)
    assert str(tmp_path) not in str(refused.value)
