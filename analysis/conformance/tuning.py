"""Can one expert be tuned alone? A gradient step on its own weights, and proof that nothing else moved."""

import torch
from torch import Tensor

from analysis.conformance.masking import busiest
from analysis.conformance.mismatch import Mismatch
from analysis.conformance.subject import Subject, forward
from analysis.conformance.tracing import observe
from analysis.conformance.truth import output_of
from analysis.models import MoeLayer

_STEP = 0.05


def check_tune(one: Subject) -> None:
    """Take one step and take it back. Raises Mismatch."""
    layer = one.loaded.seam.layers[0]
    expert, run = busiest(one, layer), forward(one)
    before, base, work = _parameters(one), run(), output_of(run, layer)
    steps = _gradient(one, layer, expert)
    if not any(bool(step.any()) for step in steps):
        raise Mismatch(f"no gradient reaches expert {expert} of layer {layer.layer}")
    own = _move(layer, expert, steps)
    tuned, moved = run(), output_of(run, layer)
    uses = (observe(one).index[layer.position].reshape(-1, layer.top_k) == expert).any(-1)
    _put_back(layer, expert, own)
    if torch.equal(base, tuned):
        raise Mismatch(f"a step on expert {expert} of layer {layer.layer} leaves the logits as they were")
    if not all(torch.equal(tensor, before[name]) for name, tensor in _parameters(one).items()):
        raise Mismatch(f"the step changed weights that do not belong to expert {expert} of layer {layer.layer}")
    if bool((moved != work)[~uses].any()):
        raise Mismatch(f"the step changed layer {layer.layer} for tokens that do not use expert {expert}")


def _parameters(one: Subject) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in one.loaded.model.named_parameters()}


def _move(layer: MoeLayer, expert: int, steps: list[Tensor]) -> list[Tensor]:
    """Down the gradient; returns the weights as they were."""
    views = [view.data for view in layer.adapter.expert_weights(layer, expert)]
    kept = [view.clone() for view in views]
    for view, step in zip(views, steps, strict=True):
        view.sub_(step, alpha=_STEP / float(step.abs().max().clamp_min(1e-30)))
    return kept


def _put_back(layer: MoeLayer, expert: int, kept: list[Tensor]) -> None:
    for view, values in zip(layer.adapter.expert_weights(layer, expert), kept, strict=True):
        view.data.copy_(values)


def _gradient(one: Subject, layer: MoeLayer, expert: int) -> list[Tensor]:
    """The expert's slices of the gradient of the next-token loss."""
    parameters = list(layer.experts_module.parameters())
    for parameter in parameters:
        parameter.requires_grad_(True)
    with torch.enable_grad():
        logits, ids = one.run(), one.batch.input_ids
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].float().flatten(0, 1), ids[:, 1:].flatten())
        torch.autograd.backward(loss)
    slices = _slices_of_gradient(layer, expert, parameters)
    for parameter in parameters:
        parameter.grad = None
        parameter.requires_grad_(False)
    return slices


def _slices_of_gradient(layer: MoeLayer, expert: int, parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    """The adapter knows which part of a parameter is the expert's, so it is shown gradients instead of values."""
    kept = [parameter.data for parameter in parameters]
    for parameter in parameters:
        parameter.data = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach().clone()
    slices = [view.detach().clone() for view in layer.adapter.expert_weights(layer, expert)]
    for parameter, values in zip(parameters, kept, strict=True):
        parameter.data = values
    return slices
