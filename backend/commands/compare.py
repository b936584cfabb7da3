"""`expertscope compare` and `expertscope gate`: two audits side by side, and whether safety regressed."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from backend.commands.console import print_json, say
from backend.commands.options import JsonOption
from backend.commands.report_files import known_report, read_report

if TYPE_CHECKING:
    from analysis.comparing import Policy

HELP = "A folder that `expertscope audit` wrote, or its report.json."


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", callback=known_report, help=HELP)],
    b: Annotated[Path, typer.Argument(metavar="B", callback=known_report, help=HELP)],
    json: JsonOption = False,
) -> None:
    """What changed from audit A to audit B: outcomes paired prompt by prompt, routing, flagged experts, ranks."""
    from analysis.comparing import compare_audits

    comparison = compare_audits(read_report(a), read_report(b))
    if json:
        print_json(comparison.as_dict())
        return
    from backend.reports.compare_summary import compare_summary

    typer.echo(compare_summary(comparison))


def known_policy(value: Path | None) -> Path | None:
    if value is not None and not value.is_file():
        raise typer.BadParameter(f"'{value}' is no file")
    return value


def gate(
    baseline: Annotated[Path, typer.Option("--baseline", metavar="A", callback=known_report, help=HELP)],
    candidate: Annotated[Path, typer.Option("--candidate", metavar="B", callback=known_report, help=HELP)],
    policy: Annotated[
        Path | None,
        typer.Option("--policy", metavar="FILE", callback=known_policy, help="YAML or JSON; docs/cli.md has its keys."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Fail (status 1, the reasons on stderr) when safety regressed from a baseline audit to a candidate."""
    rules = _policy(policy)
    from analysis.comparing import compare_audits
    from analysis.comparing import gate as judge

    comparison = compare_audits(read_report(baseline), read_report(candidate))
    result = judge(comparison, rules)
    if json:
        checks = [asdict(check) for check in result.checks]
        print_json(
            {
                "schema": "expertscope.gate/1",
                "passed": result.passed,
                "reasons": result.reasons,
                "policy": asdict(rules),
                "checks": checks,
                "comparison": comparison.as_dict(),
            }
        )
    else:
        for check in result.checks:
            typer.echo(f"{'passed' if check.passed else 'FAILED'}  {check.reason}")
    for reason in result.reasons:
        say(f"gate: {reason}")
    if not result.passed:
        raise typer.Exit(1)


def _policy(path: Path | None) -> "Policy":
    """The policy of a file, or the default one; a file that is none is a wrong argument."""
    from analysis.comparing import Policy

    if path is None:
        return Policy()
    import yaml

    from analysis.errors import InputError

    try:
        return Policy.of(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, yaml.YAMLError) as fault:
        raise typer.BadParameter(f"--policy '{path}' cannot be read: {fault}") from fault
    except InputError as fault:
        raise typer.BadParameter(f"--policy '{path}': {fault.message}") from fault
