"""Every page of the product, for the tests that look at all of them."""

from tests.browser.conftest import Product


def every_page(product: Product) -> dict[str, str]:
    """Name to address, with a finished run of each kind and the audit's first flagged expert."""
    layer, expert = product.api(f"/runs/{product.run['id']}/report.json").json()["flagged"]["experts"][0]
    prompts = product.run["prompt_set"]["id"]
    kinds = {kind: f"{product.url}/ui/runs/{run['id']}" for kind, run in product.others.items()}
    return {
        "runs": f"{product.url}/ui/runs",
        "new run": f"{product.url}/ui/runs/new",
        "new run, mask": f"{product.url}/ui/runs/new?kind=mask&experts={layer}:{expert}",
        "new run, tune": f"{product.url}/ui/runs/new?kind=tune&experts={layer}:{expert}",
        "overview": product.tab(),
        "routing": product.tab("/routing"),
        "routing, table": product.tab("/routing?view=table&quantity=difference"),
        "routing, topics": product.tab("/routing?view=topics&minus=all"),
        "routing, drawer": product.tab(f"/routing?expert={layer}.{expert}"),
        "topics": product.tab("/topics"),
        "experts": product.tab("/experts"),
        "expert": product.tab(f"/experts/{layer}/{expert}"),
        "tokens": product.tab("/tokens"),
        "interventions": product.tab("/interventions"),
        "report": product.tab("/report"),
        "prompt sets": f"{product.url}/ui/prompt-sets",
        "import prompts": f"{product.url}/ui/prompt-sets/import",
        "model": f"{product.url}/ui/models/{product.run['model']['id']}",
        "prompt set": f"{product.url}/ui/prompt-sets/{prompts}",
        "models": f"{product.url}/ui/models",
        "compare": f"{product.url}/ui/compare?a={product.run['id']}&b={product.second_audit['id']}",
        "compare, one chosen": f"{product.url}/ui/compare?a={product.run['id']}",
        "compare, a tuning": f"{product.url}/ui/compare?a={product.run['id']}&b={product.others['tune']['id']}",
        "runs, narrowed": f"{product.url}/ui/runs?kind=audit&status=done&search=planted",
        "admin": f"{product.url}/ui/admin",
        "report of a mask": f"{kinds['mask']}/report",
        "judges": f"{product.url}/ui/judges",
        "judges, sample": f"{product.url}/ui/judges?show=sample",
        "playground": f"{product.url}/ui/playground",
        "an expert that is not there": product.tab("/experts/99/99"),
        **kinds,
    }
