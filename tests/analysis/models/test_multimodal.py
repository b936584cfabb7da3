"""A model that also reads images is loaded for its text."""

import pytest
import torch

from analysis.conformance.subject import subject
from analysis.conformance.tiny import tiny_model
from analysis.models import inspect_model, load_model
from tests.tiny_models import tokenizer


@pytest.mark.parametrize("model_type", ["qwen3_vl_moe", "llama4"])
def test_a_checkpoint_with_an_image_tower_is_inspected_and_loaded(model_type: str, tmp_path) -> None:
    built = tiny_model(model_type)
    built.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    description, loaded = inspect_model(str(tmp_path)), load_model(str(tmp_path))
    assert (description.moe_layers, description.experts, description.top_k) == ((0, 1, 2), 8, 2)
    one = subject(built, model_type)
    with torch.inference_mode():
        again = loaded.model(input_ids=one.batch.input_ids, attention_mask=one.batch.attention_mask).logits
        torch.testing.assert_close(again, one.run())
