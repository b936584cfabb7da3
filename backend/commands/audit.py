"""`expertscope audit`: the default audit in this process, without server or database."""

from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.console import print_json, progress_bar, say
from backend.commands.options import (
    DeviceOption,
    JsonOption,
    JudgeOption,
    ModelOption,
    OutOption,
    Preset,
    PromptsOption,
    SecondJudgeOption,
    SeedOption,
    known_judges,
    prompts_for,
)
from backend.commands.out_folder import check_out, filling
from backend.threads import use_threads

if TYPE_CHECKING:
    from analysis.result import AuditResult


def audit(
    model: ModelOption,
    prompts: PromptsOption,
    out: OutOption,
    preset: Preset = Preset.STANDARD,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    judge: JudgeOption = "rules",
    second_judge: SecondJudgeOption = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Write report.pdf too; needs the system library Pango.")] = False,
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Write experts.xlsx too.")] = False,
    json: JsonOption = False,
) -> None:
    """Find the experts that safety depends on; writes report.json, report.html, experts.csv, certificate.json."""
    check_out(out)
    if pdf:  # an hour of work must not end with a library that is missing
        from backend.reports import check_pdf

        check_pdf()
    result = run_audit(model, prompts, preset, seed, device, judge, second_judge)
    from backend.reports import write_audit

    with filling(out) as draft:
        written = write_audit(result, draft, pdf=pdf, xlsx=xlsx)
    if json:
        print_json(result.report)
    else:
        say(result.report["verdict"]["sentence"])
        *most, last = written
        say(f"wrote {', '.join(most)} and {last} to {out}")


def run_audit(
    model: str, prompts: str, preset: str, seed: int, device: str, judge: str, second_judge: str | None = None
) -> "AuditResult":
    # The prompts first: a broken file shows at once, a model may take minutes to load.
    known_judges(judge, second_judge)
    prompt_set = prompts_for(prompts, model)
    from analysis.audit import AuditSettings
    from analysis.audit import audit as audit_model
    from analysis.models import load_model

    with progress_bar() as progress:
        progress("load", 0, 1)
        loaded = load_model(model, device=device)
        use_threads(loaded.description.parameters)
        progress("load", 1, 1)
        settings = AuditSettings.from_preset(preset, seed=seed, judge=judge, second_judge=second_judge)
        return audit_model(loaded, prompt_set, settings, progress=progress)
