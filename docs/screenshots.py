"""Take the documentation's pictures from a running server with a finished audit.

    make run                                            # in one terminal
    .venv/bin/python docs/screenshots.py [ADDRESS]      # in another

Writes docs/images/NAME.png, at 1280 pixels in the light theme.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
SWITCHES = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


def addresses(server: str) -> dict[str, str]:
    """File name to page, for the newest finished run."""
    runs: list[dict[str, Any]] = httpx.get(f"{server}/api/v1/runs", params={"status": "done"}).json()["items"]
    if not runs:
        raise SystemExit(f"{server} has no finished run yet: wait for its first audit")
    run = f"/ui/runs/{runs[0]['id']}"
    expert = httpx.get(f"{server}/api/v1/runs/{runs[0]['id']}/report.json").json()["experts"][0]
    tabs = {name: f"{run}/{name}" for name in ("routing", "topics", "experts", "report")}
    own = {"expert": f"{run}/experts/{expert['layer']}/{expert['expert']}"}
    return {"runs": "/ui/runs", "new-run": "/ui/runs/new", "overview": run, **tabs, **own}


def take(page: Page, server: str) -> None:
    for name, address in addresses(server).items():
        page.goto(server + address, wait_until="networkidle")
        page.screenshot(path=IMAGES / f"{name}.png", full_page=True)
        sys.stdout.write(f"docs/images/{name}.png\n")


def main() -> None:
    server = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    IMAGES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=SWITCHES)
        take(browser.new_page(viewport={"width": 1280, "height": 900}), server)
        browser.close()


if __name__ == "__main__":
    main()
