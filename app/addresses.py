"""Every address that the pages and their downloads have, in one place."""

from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlencode

PREFIX = "/ui"
RUNS = f"{PREFIX}/runs"
NEW_RUN = f"{PREFIX}/runs/new"
PROMPT_SETS = f"{PREFIX}/prompt-sets"
IMPORT = f"{PREFIX}/prompt-sets/import"
MODELS = f"{PREFIX}/models"
JUDGES = f"{PREFIX}/judges"
PLAYGROUND = f"{PREFIX}/playground"
COMPARE = f"{PREFIX}/compare"
ADMIN = f"{PREFIX}/admin"
ACCOUNT = f"{PREFIX}/account"


def with_query(path: str, query: Mapping[str, str | None]) -> str:
    """`path` with those of `query` that are given."""
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def run(run_id: str, tab: str = "", **query: str | None) -> str:
    """A run's page: the overview, or its tab 'routing', 'topics', 'experts', 'interventions' or 'report'."""
    path = f"{RUNS}/{quote(run_id)}" + (f"/{tab}" if tab else "")
    return with_query(path, query)


def expert(run_id: str, layer: int, expert: int) -> str:
    return f"{RUNS}/{quote(run_id)}/experts/{layer}/{expert}"


def model(model_id: str) -> str:
    return f"{MODELS}/{quote(model_id)}"


def new_run(model: str | None = None, prompts: str | None = None, **chosen: str | None) -> str:
    """The form; `chosen` are further fields of it, such as kind="mask" and experts=places([(1, 7)])."""
    return with_query(NEW_RUN, {"model": model, "prompts": prompts, **chosen})


def places(experts: Iterable[Iterable[int]]) -> str | None:
    """Experts as the form and the command line take them, "1:7,2:5"; None for none."""
    return ",".join(":".join(map(str, place)) for place in experts) or None


def compare(a: str | None = None, b: str | None = None, **chosen: str | None) -> str:
    """Two runs side by side; with one of them or none, the page that asks for the other."""
    return with_query(COMPARE, {"a": a, "b": b, **chosen})


def runs(status: str | None = None, cursor: str | None = None, kind: str | None = None, **narrowed: str | None) -> str:
    """The list; `narrowed` are its model and its search."""
    return with_query(RUNS, {"status": status, "kind": kind, **narrowed, "cursor": cursor})


def question(question_id: str, **query: str | None) -> str:
    """A question of the playground, so that others see the same answer."""
    return with_query(PLAYGROUND, {"q": question_id, **query})


def download(run_id: str, name: str, **query: str | None) -> str:
    """A file of the API: report.html, report.json, experts.csv, certificate.json, heatmap.csv, mask.json."""
    return with_query(f"/api/v1/runs/{quote(run_id)}/{name}", query)
