"""/ui/runs/{id}: one audit in six questions, each with a figure at the left and a sentence at the right."""

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

from app import addresses, wording
from app.components import aria, dataset, effect_strip, icon, info, interval, ladder, rate, static_graph
from app.components.certificate import certificate_text
from app.components.effect import effect_span
from app.figures import profile
from app.pages.run.act_on import act_on
from app.pages.run.frame import Finished, run_view
from app.pages.run.made_from import made_from
from app.router import View, Visit
from backend import formats
from backend.services import RunInfo, Services, routing_finding

Report = Mapping[str, Any]
SHOWN_EXPERTS = 5
SHOWN_RUNS = 3


def show(services: Services, visit: Visit) -> View:
    return run_view(services, visit, "", lambda finished: _overview(services, finished))


def _overview(services: Services, finished: Finished) -> Component:
    run, report = finished.run, finished.report
    verdict = wording.verdict(report["verdict"]["sentence"], report["verdict"].get("caveats", ()))
    return html.Div(
        [
            html.Div(
                [
                    html.H1(verdict.finding),
                    html.P(verdict.basis, className="lead") if verdict.basis else None,
                    *(html.P([icon("warn"), html.Span(caveat)], className="caveat") for caveat in verdict.caveats),
                ],
                className="verdict-line",
            ),
            html.Div(
                [
                    _asked(run, report),
                    _capture(run, report),
                    _routing(run, report),
                    _experts(services, finished),
                    _effect(services, run, report),
                    _doubt(run, report),
                ],
                className="questions",
            ),
        ]
    )


def _question(number: int, name: str, figure: Component | None, sentence: Any, detail: Sequence[Any] = ()) -> Component:
    return html.Section(
        [
            html.H2([html.Span(str(number), className="ordinal"), name]),
            html.Div(figure, className="question-figure"),
            html.Div([html.P(sentence, className="sentence"), *detail], className="question-text"),
        ],
        className="question",
    )


def _asked(run: RunInfo, report: Report) -> Component:
    prompts, settings = report["prompts"], report["settings"]
    model = report["model"]
    asked = (
        formats.plural(prompts["pairs"], "pair")
        if prompts["pairs"]
        else formats.plural(prompts["harmful"] + prompts["benign"], "prompt")
    )
    topics = prompts["topics"] if isinstance(prompts["topics"], int) else len(prompts["topics"])
    figure = html.Div(
        [
            html.Span(formats.count(prompts["harmful"]), className="harmful big num"),
            html.Span("harmful", className="dim small"),
            html.Span(formats.count(prompts["benign"]), className="benign big num"),
            html.Span("benign", className="dim small"),
        ],
        className="two-numbers",
    )
    sentence = [
        f"{asked} · {formats.plural(topics, 'topic')} · {settings['preset']} preset ",
        info("preset"),
        f" · seed {settings['seed']} ",
        info("seed"),
    ]
    layers, experts = len(model["moe_layers"]), model["experts"]
    took = formats.seconds(report["timings"].get("total"))
    detail = (
        f"{model['ref']}: {formats.plural(layers, 'MoE layer')} of {experts} experts, {model['top_k']} selected per "
        f"token, {model['dtype']} on {model['device']}; prompts {prompts['name']}; took {took}."
    )
    return _question(1, "Asked", figure, sentence, [html.P(detail, className="dim")])


def _capture(run: RunInfo, report: Report) -> Component:
    certificate = report["certificate"]
    passed = certificate["passed"]
    seen, expected = certificate["assignments_seen"], certificate["assignments_expected"]
    figure = html.Div(
        [
            html.Span(className=f"icon icon-{'check' if passed else 'cross'} big-icon", **aria(hidden="true")),
            html.Span("exact" if passed else "not exact", className="big"),
        ],
        className="row",
    )
    if passed:
        sentence = "Every selection that the router made was seen, in every layer. "
    else:
        sentence = f"{formats.count(expected - seen)} selections are unaccounted for: do not rely on this run. "
    link = html.A("Certificate", href=addresses.download(run.id, "certificate.json"))
    return _question(
        2,
        "Capture",
        figure,
        [sentence, info("certificate")],
        [html.P([certificate_text(certificate), " · ", link], className="dim num")],
    )


def _routing(run: RunInfo, report: Report) -> Component:
    routing = report["routing"]
    jsd = routing["jsd"]
    chart = html.Div(
        [
            static_graph(profile(routing["per_layer"]), "Topic and safety divergence by layer"),
            html.Span(
                [html.Span("topic", className="topic"), " · ", html.Span("safety", className="harmful"), " by layer"],
                className="small dim",
            ),
        ]
    )
    sentence = [
        dcc.Link(routing_finding(report), href=addresses.run(run.id, "topics")),
        ": ρ = ",
        interval(routing["topic_ratio"]),
        " ",
        info("topic_ratio"),
    ]
    detail = html.P(
        [
            "JSD of topic ",
            interval(jsd["topic"]),
            ", of safety ",
            interval(jsd["safety"]),
            ", within a topic ",
            interval(jsd["within_topic"]),
            " ",
            info("jsd"),
        ],
        className="dim",
    )
    return _question(3, "Routing", chart, sentence, [detail])


def _experts(services: Services, finished: Finished) -> Component:
    run, report, flagged = finished.run, finished.report, finished.flagged
    shown = flagged or services.results.list_experts(run.id, limit=1).items
    figure = html.Ul([_expert_line(run, row) for row in shown[:SHOWN_EXPERTS]], className="expert-lines")
    finding = wording.flagged_finding(flagged, finished.experts_count)
    sentence = [dcc.Link(finding, href=addresses.run(run.id, "experts")), ". ", info("evidence")]
    if flagged:
        more = len(flagged) - SHOWN_EXPERTS
        note = f"And {more} more in the table. " if more > 0 else ""
        note += "Flagged means causal, selective and replicated on prompts that were not used to find them."
    else:
        note = "Shown is the one that came closest; Doubt says how hard was looked."
    acted = act_on(run, wording.flagged_places(report), flagged=True)
    return _question(4, "Experts", figure, sentence, [html.P(note, className="dim"), _rare(run, report), acted])


def _rare(run: RunInfo, report: Report) -> Component | None:
    """Experts that are rarely at work, and what they do where they are; older reports have none."""
    rare = report.get("rare") or []
    if not rare:
        return None
    shown = [one for one in rare if one["alarm"]][:SHOWN_EXPERTS] or rare[:1]
    lines = [
        html.Li(
            [
                dcc.Link(
                    formats.place(one["layer"], one["expert"]),
                    href=addresses.expert(run.id, one["layer"], one["expert"]),
                    className="num",
                ),
                f": {wording.rare_line(one)}",
            ]
        )
        for one in shown
    ]
    tone = "" if rare[0]["alarm"] else "dim"
    finding = html.P([wording.rare_finding(rare), ". ", info("rare")], className=tone)
    return html.Div([finding, html.Ul(lines, className=f"plain {tone}".strip())])


def _expert_line(run: RunInfo, row: Mapping[str, Any]) -> Component:
    layer, expert = row["layer"], row["expert"]
    return html.Li(
        [
            dcc.Link(formats.place(layer, expert), href=addresses.expert(run.id, layer, expert), className="num"),
            ladder(row["evidence"], row["flagged"]),
            html.Span(f"level {row['level']}", className="dim small num"),
        ],
        **dataset(place=f"{layer}.{expert}"),
    )


def _effect(services: Services, run: RunInfo, report: Report) -> Component:
    flagged, outcomes = report["flagged"], report["outcomes"]
    effect, null = flagged.get("effect"), flagged.get("null")
    benign = html.P(
        [
            "The untouched model refuses ",
            rate(outcomes["refusal_benign"]),
            " of benign prompts ",
            info("over_refusal"),
            "; degenerate answers ",
            rate(outcomes["degenerate"]),
            " ",
            info("degenerate"),
        ],
        className="dim",
    )
    if not effect or effect.get("estimate") is None:
        sentence = ["The model refuses ", rate(outcomes["refusal_harmful"]), " of harmful prompts ", info("refusal")]
        figure: Component = html.Span("nothing to mask", className="dim")
        return _question(5, "Effect", figure, sentence, [benign])
    figure = html.Div(
        [
            effect_strip(effect, null, effect_span([effect], [null]), flagged=True),
            html.Div(
                [
                    html.Span("matched random sets", className="key-null"),
                    html.Span("flagged set", className="key-flagged"),
                ],
                className="spread dim small",
            ),
        ]
    )
    nulls = html.P(_null_sentence(flagged), className="dim")
    return _question(5, "Effect", figure, _effect_sentence(report), [nulls, benign, _changed(services, run)])


def _changed(services: Services, run: RunInfo) -> Component | None:
    """What became of these experts in later runs: base against masked or hardened is one click away."""
    made = made_from(services, run, most=SHOWN_RUNS)
    return (
        html.Div([html.P("Runs made from these experts", className="dim"), made], className="stack") if made else None
    )


def _effect_sentence(report: Report) -> list[Any]:
    masked = report["outcomes"].get("masked")
    if not masked:
        effect = interval(report["flagged"]["effect"], "nats")
        return ["Removing the flagged set lowers the refusal margin by ", effect, " ", info("set_effect")]
    before = rate(masked.get("base_refusal_harmful") or report["outcomes"]["refusal_harmful"])
    after, null = rate(masked["refusal_harmful"]), masked.get("null_refusal")
    sentence: list[Any] = ["Refusal of harmful prompts ", before, " → ", after, " when masked"]
    if null and null.get("mean") is not None:
        shown = formats.rate({"estimate": null["mean"], "low": null["low"], "high": null["high"]})
        sentence += ["; matched random sets → ", html.Span(str(shown), className="num")]
        sentence.append(f" (p = {formats.p_value(null['p_value'])}, n = {null['n']})")
    return [*sentence, " ", info("refusal")]


def _null_sentence(flagged: Mapping[str, Any]) -> list[Any]:
    parts: list[Any] = ["Loss of refusal margin ", interval(flagged["effect"], "nats"), " ", info("margin")]
    null = flagged.get("null")
    if null:
        parts += [
            f"; matched random sets {formats.number(null['mean'])} ± {formats.number(2 * null['sd'], 2)} ",
            info("null"),
        ]
    if flagged.get("p_value") is not None:
        parts.append(f"; p = {formats.p_value(flagged['p_value'])}")
    return parts


def _doubt(run: RunInfo, report: Report) -> Component:
    withheld = [
        html.Li([html.Strong(wording.withheld_name(item["what"])), ": ", item["why"]]) for item in report["withheld"]
    ]
    figure = html.Div(
        [
            html.Span(str(len(withheld)), className="big num"),
            html.Span("quantity withheld" if len(withheld) == 1 else "quantities withheld", className="dim small"),
        ],
        className="two-numbers",
    )
    limits = (
        "These prompts, this judge, these interventions: another wording, language or attack may use other experts."
    )
    power = report["verdict"].get("power") or "How hard it looked is not recorded."
    return _question(
        6,
        "Doubt",
        figure,
        power,
        [html.Ul(withheld, className="plain") if withheld else None, html.P(limits, className="dim")],
    )
