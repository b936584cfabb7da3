"""What is found out about one family."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["exact", "unsupported", "wrong"]
NOT_RUN = "not run"


@dataclass(frozen=True)
class FamilyResult:
    """One row of `expertscope conformance`. Expected numbers are the truth's, seen numbers the trace's.

    `mask` and `tune` are `exact`, `not run` (the family is unsupported, or its trace is wrong already), or say what
    did not hold; `reason` says why a family is not exact. `runs` names each model type with the experts implementation
    and dtype that was checked.
    """

    family: str
    status: Status
    reason: str
    layers_expected: int = 0
    layers_seen: int = 0
    assignments_expected: int = 0
    assignments_seen: int = 0
    mask: str = NOT_RUN
    tune: str = NOT_RUN
    model_types: tuple[str, ...] = ()
    expert_classes: tuple[str, ...] = ()
    experts: int = 0
    top_k: int = 0
    shared_experts: int = 0
    dense_layers: int = 0
    adapter: str = ""
    note: str = ""
    runs: tuple[str, ...] = ()
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with lists instead of tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}
