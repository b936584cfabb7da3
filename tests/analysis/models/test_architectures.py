"""What is no Mixture-of-Experts, or is one that cannot be traced, is refused by name."""

import pytest
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, BertConfig, BertModel, T5Config

from analysis.errors import NotFoundError, NotMixtureOfExpertsError, UnsafeWeightsError, UnsupportedArchitectureError
from analysis.models import find_moe_layers, inspect_model, load_model
from tests.tiny_models import save_tiny_model, tokenizer


def test_a_dense_model_is_named_with_what_is_supported(tmp_path) -> None:
    with pytest.raises(NotMixtureOfExpertsError, match=r"LlamaForCausalLM is a dense model.*Qwen3-MoE, Mixtral, OLMoE"):
        inspect_model(str(save_tiny_model("llama", tmp_path / "llama")))


@pytest.mark.parametrize("kind", ["encoder", "encoder-decoder"])
def test_an_encoder_is_refused(kind: str, tmp_path) -> None:
    small = {"vocab_size": 300, "d_model": 16, "d_ff": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8}
    if kind == "encoder":
        model: nn.Module = BertModel(
            BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, vocab_size=300)
        )
    else:
        model = AutoModelForSeq2SeqLM.from_config(T5Config(**small))
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    with pytest.raises(NotMixtureOfExpertsError, match="causal"):
        load_model(str(tmp_path))


def test_experts_called_in_an_unknown_way_are_named_with_their_arguments(tiny) -> None:
    class OddExperts(nn.Module):
        def forward(self, hidden_states: torch.Tensor, dispatch: torch.Tensor) -> torch.Tensor:
            return hidden_states

    model = tiny("olmoe").model
    block = model.model.layers[0].mlp
    kept, block.experts = block.experts, OddExperts()
    try:
        with pytest.raises(UnsupportedArchitectureError, match=r"OddExperts\(hidden_states, dispatch\)"):
            find_moe_layers(model)
    finally:
        block.experts = kept


def test_a_missing_folder_says_what_a_reference_may_be() -> None:
    with pytest.raises(NotFoundError, match=r"'\./nowhere' does not exist: give a folder, a hub id"):
        inspect_model("./nowhere")


def test_pickled_weights_are_refused(tmp_path) -> None:
    folder = save_tiny_model("olmoe", tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(
        UnsafeWeightsError, match=r"only pickled weights \(pytorch_model.bin\): expected \*.safetensors"
    ):
        load_model(str(folder))


def test_a_description_needs_no_weights(tmp_path) -> None:
    folder = save_tiny_model("mixtral", tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"not weights")
    description = inspect_model(str(folder))
    assert (description.family, description.experts, description.top_k, description.moe_layers) == (
        "mixtral",
        8,
        2,
        (0, 1, 2),
    )


def test_a_dense_model_is_called_dense_even_without_a_tokenizer(tmp_path) -> None:
    folder = save_tiny_model("llama", tmp_path / "llama")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(NotMixtureOfExpertsError, match="is a dense model"):
        inspect_model(str(folder))
