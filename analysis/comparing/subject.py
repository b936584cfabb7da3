"""What each of two audits was made of, and what differs in that. A reader has to see it before any number."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Report = Mapping[str, Any]
PARTS = ("model", "prompts", "settings", "software")
_UNTOLD = {"windows", "discovery_topics", "confirmation_topics"}
"""What is the same in every audit, or follows from the seed."""
_DIGEST = 12
_MOST = 12


@dataclass(frozen=True)
class Subject:
    """One of the two audits, as a header shows it. `certificate` says whether its trace was checked and found exact."""

    ref: str
    revision: str | None
    family: str
    weights_sha256: str | None
    prompts: str
    harmful: int
    benign: int
    preset: str
    seed: int
    judge: str
    created: str
    certificate: bool
    verdict: str

    @classmethod
    def of(cls, report: Report) -> "Subject":
        model, prompts, settings = (report[part] for part in ("model", "prompts", "settings"))
        return cls(
            ref=model["ref"],
            revision=model["revision"],
            family=model["family"],
            weights_sha256=model["weights_sha256"],
            prompts=prompts["name"],
            harmful=prompts["harmful"],
            benign=prompts["benign"],
            preset=settings["preset"],
            seed=settings["seed"],
            judge=report["outcomes"]["judge"],
            created=report["created"],
            certificate=report["certificate"]["passed"],
            verdict=report["verdict"]["sentence"],
        )


@dataclass(frozen=True)
class Differing:
    """One thing that is not the same in both: `part` is model, prompts, settings or software; values as text."""

    part: str
    what: str
    a: str
    b: str


def differing(a: Report, b: Report) -> tuple[Differing, ...]:
    """Everything that differs in model, prompts, settings and software, in this order."""
    return tuple(one for part in PARTS for one in _in_part(part, a[part], b[part]))


def _in_part(part: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Differing]:
    for what in dict.fromkeys((*a, *b)):
        if what not in _UNTOLD and a.get(what) != b.get(what):
            yield Differing(part, what, _text(what, a.get(what)), _text(what, b.get(what)))


def _text(what: str, value: Any) -> str:
    if value is None:
        return "none"
    if what.endswith("sha256"):
        return str(value)[:_DIGEST]
    if isinstance(value, list):
        more = f" and {len(value) - _MOST} more" if len(value) > _MOST else ""
        return ", ".join(map(str, value[:_MOST])) + more if value else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def caveats(a: Report, b: Report, shared: int | None) -> tuple[str, ...]:
    """What besides the models could have made the difference, in sentences. `shared` counts the prompts of both."""
    said = []
    models, prompts, settings = ((a[part], b[part]) for part in ("model", "prompts", "settings"))
    one, other = models
    if one["ref"] == other["ref"] and one["weights_sha256"] != other["weights_sha256"]:
        said.append(f"Both models are called {one['ref']}, and their weights differ.")
    if prompts[0]["sha256"] != prompts[1]["sha256"]:
        same = "" if shared is None else f", of which {shared} are the same"
        said.append(f"The two answered different prompts{same}: routing and flagged experts are those of all of them.")
    judges = [side["outcomes"]["judge"] for side in (a, b)]
    if judges[0] != judges[1]:
        said.append(
            f"The answers were labelled by {judges[0]} in A and by {judges[1]} in B: a difference may be the judges'."
        )
    lengths = [side.get("max_new_tokens") for side in settings]
    if None not in lengths and lengths[0] != lengths[1]:
        ends = f"{lengths[0]} tokens in A and {lengths[1]} in B"
        said.append(f"Answers end after {ends}: what comes later was judged in one alone.")
    for name, side in (("A", a), ("B", b)):
        if not side["certificate"]["passed"]:
            said.append(f"The capture certificate of {name} did not pass: its routing may be wrong.")
    return tuple(said)
