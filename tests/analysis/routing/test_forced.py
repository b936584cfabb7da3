"""Teacher forcing keeps prompt and given answer apart, exactly; compared with the routers of one sequence alone."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from analysis import capture, force_answers, load_model, load_prompts
from analysis.errors import InputError, WithheldError
from analysis.models import LoadedModel
from analysis.prompts.prompt_set import Prompt, PromptSet
from analysis.routing.encoding import encode
from analysis.routing.forced import ForcedPair, capture_forced
from analysis.routing.recorder import BOUNDARY, PROMPT, RESPONSE
from analysis.routing.trace import CaptureSettings, Trace
from analysis.shards import FolderShards

SETTINGS = CaptureSettings(batch_tokens=160, shard_prompts=4)
ANSWERS = [tuple(range(40 + row, 40 + row + 3 + row % 4)) for row in range(9)]


def routers(model: LoadedModel, tokens: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Ids [layers, tokens, k] and logits [layers, tokens, experts] that each router returns for one sequence alone."""
    kept: dict[str, tuple] = {}
    handles = [
        layer.router.register_forward_hook(lambda _m, _i, out, path=layer.path: kept.__setitem__(path, out))
        for layer in model.seam.layers
    ]
    with torch.inference_mode():
        model.model(input_ids=torch.tensor([tokens]))
    for handle in handles:
        handle.remove()
    outputs = [kept[layer.path] for layer in model.seam.layers]
    return (
        np.stack([out[2].reshape(len(tokens), -1).numpy() for out in outputs]),
        np.stack([out[0].reshape(len(tokens), -1).numpy() for out in outputs]),
    )


def count(ids: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(layer.ravel(), minlength=8) for layer in ids])


def test_each_window_holds_what_the_routers_returned(model: LoadedModel, some_prompts: PromptSet) -> None:
    trace = capture_forced(model, some_prompts, ANSWERS, SETTINGS)
    for row, one in enumerate(encode(model, some_prompts.prompts)):
        prompt, answer = list(one.tokens), list(ANSWERS[row])
        ids, _ = routers(model, prompt + answer)
        np.testing.assert_array_equal(trace.selections[row, PROMPT], count(ids[:, : len(prompt)]))
        np.testing.assert_array_equal(trace.selections[row, BOUNDARY], count(ids[:, len(prompt) - 1 : len(prompt)]))
        np.testing.assert_array_equal(trace.selections[row, RESPONSE], count(ids[:, len(prompt) :]))
        assert trace.tokens[row].tolist() == [len(prompt), 1, len(answer)]


def test_probabilities_are_those_of_the_answer_alone(
    tiny: Callable[[str], LoadedModel], some_prompts: PromptSet
) -> None:
    model = tiny("olmoe")
    trace = capture_forced(model, some_prompts, ANSWERS, SETTINGS)
    for row, one in enumerate(encode(model, some_prompts.prompts)):
        _, logits = routers(model, [*one.tokens, *ANSWERS[row]])
        odds = np.exp(logits.astype(np.float64))
        expected = (odds / odds.sum(-1, keepdims=True))[:, len(one.tokens) :].mean(1)
        np.testing.assert_allclose(trace.probability[row, RESPONSE], expected, atol=1e-6)


def test_the_prompt_is_routed_as_without_an_answer(tiny: Callable[[str], LoadedModel], some_prompts: PromptSet) -> None:
    model = tiny("mixtral")
    forced = capture_forced(model, some_prompts, ANSWERS, SETTINGS)
    free = capture(model, some_prompts, CaptureSettings(max_new_tokens=0))
    np.testing.assert_array_equal(forced.selections[:, :2], free.selections[:, :2])
    np.testing.assert_allclose(forced.probability[:, :2], free.probability[:, :2], rtol=1e-4, atol=1e-6)


def test_only_the_first_tokens_are_forced_when_asked(
    tiny: Callable[[str], LoadedModel], some_prompts: PromptSet
) -> None:
    model = tiny("olmoe")
    short = capture_forced(model, some_prompts, [one[:2] for one in ANSWERS], SETTINGS)
    cut = capture_forced(model, some_prompts, ANSWERS, SETTINGS, tokens=2)
    np.testing.assert_array_equal(cut.selections, short.selections)
    assert set(cut.tokens[:, RESPONSE]) == {2}


def test_the_certificate_counts_prompt_and_answer(model: LoadedModel, some_prompts: PromptSet) -> None:
    certificate = capture_forced(model, some_prompts, ANSWERS, SETTINGS).certificate.as_dict()
    tokens = sum(len(one.tokens) for one in encode(model, some_prompts.prompts)) + sum(map(len, ANSWERS))
    expected = tokens * model.description.top_k * len(model.description.moe_layers)
    assert certificate["passed"]
    assert certificate["assignments_expected"] == certificate["assignments_seen"] == expected
    assert certificate["response_tokens"] == sum(map(len, ANSWERS))


def test_an_interrupted_capture_goes_on(tiny: Callable[[str], LoadedModel], some_prompts: PromptSet, tmp_path) -> None:
    model = tiny("olmoe")

    def stop(_stage: str, done: int, _total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        capture_forced(model, some_prompts, ANSWERS, SETTINGS, shards=FolderShards(tmp_path), progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["forced-0000.safetensors"]
    resumed = capture_forced(model, some_prompts, ANSWERS, SETTINGS, shards=FolderShards(tmp_path))
    whole = capture_forced(model, some_prompts, ANSWERS, SETTINGS)
    np.testing.assert_array_equal(resumed.selections, whole.selections)
    assert resumed.answers == whole.answers


def test_what_cannot_be_forced_is_refused(tiny: Callable[[str], LoadedModel], some_prompts: PromptSet) -> None:
    model, one = tiny("olmoe"), PromptSet("one", (Prompt("p", "hello"),))
    with pytest.raises(InputError, match="8 continuations for 9 prompts"):
        capture_forced(model, some_prompts, ANSWERS[:8])
    with pytest.raises(InputError, match="continuation of prompt 'p' is empty"):
        capture_forced(model, one, [()])
    with pytest.raises(
        InputError, match=r"prompt 'p' and its continuation have \d+ \+ 600 tokens: this model takes 512"
    ):
        capture_forced(model, one, [(40,) * 600])
    with pytest.raises(InputError, match="no prompts to force answers on"):
        capture_forced(model, PromptSet("none", ()), [])


@pytest.fixture(scope="module")
def planted() -> LoadedModel:
    return load_model("organism:planted", device="cpu")


@pytest.fixture(scope="module")
def prompts() -> PromptSet:
    everything = load_prompts("builtin:organism")
    pairs = [pair for topic in everything.topics[:6] for pair in [p for p in everything.pairs if p.topic == topic][:3]]
    return PromptSet("some", tuple(prompt for pair in pairs for prompt in (pair.harmful, pair.benign)))


@pytest.fixture(scope="module")
def trace(planted: LoadedModel, prompts: PromptSet) -> Trace:
    return capture(planted, prompts, CaptureSettings(max_new_tokens=12))


@pytest.fixture(scope="module")
def forced(planted: LoadedModel, trace: Trace) -> ForcedPair:
    return force_answers(planted, trace)


def test_both_answers_are_forced_on_the_harmful_prompts_alone(forced: ForcedPair, prompts: PromptSet) -> None:
    assert forced.refusal.prompts == forced.stand_in.prompts == prompts.labelled("harmful")
    told = forced.continuations
    assert len(told.refusal.tokens) == len(told.stand_in.tokens)
    assert set(forced.refusal.tokens[:, RESPONSE]) == set(forced.stand_in.tokens[:, RESPONSE])
    np.testing.assert_array_equal(forced.refusal.selections[:, PROMPT], forced.stand_in.selections[:, PROMPT])


def test_the_refusal_prefix_is_prompt_and_refusal_taken_together(forced: ForcedPair) -> None:
    compared = forced.compared()["refusal_prefix"]
    trace = forced.refusal
    tokens = trace.tokens.astype(float)
    for row in range(len(trace.prompts)):
        together = sum(tokens[row, w] * trace.probability[row, w] for w in (PROMPT, RESPONSE))
        np.testing.assert_allclose(compared.right[row], together / tokens[row, [0, 2]].sum(), atol=1e-6)
    np.testing.assert_array_equal(compared.left, trace.probability[:, PROMPT])


def test_some_of_the_prompts_can_be_asked_for(forced: ForcedPair) -> None:
    few = PromptSet("few", forced.refusal.prompts[2:4])
    np.testing.assert_array_equal(forced.frequency(few).refusal, forced.frequency().refusal[2:4])
    assert forced.frequency(few).topics == forced.frequency().topics[2:4]


def test_progress_goes_once_through_both_answers(planted: LoadedModel, trace: Trace, forced: ForcedPair) -> None:
    seen: list[tuple[int, int]] = []
    settings = CaptureSettings(shard_prompts=10)
    again = force_answers(
        planted, trace, settings=settings, progress=lambda stage, done, total: seen.append((done, total))
    )
    assert seen == [(0, 4), (1, 4), (2, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_array_equal(again.refusal.selections, forced.refusal.selections)


def test_without_harmful_prompts_nothing_is_forced(planted: LoadedModel, trace: Trace, prompts: PromptSet) -> None:
    benign = PromptSet("benign", tuple(replace(p, label=None) for p in prompts))
    with pytest.raises(WithheldError, match="there are no harmful prompts to force a refusal on"):
        force_answers(planted, trace, prompts=benign)
