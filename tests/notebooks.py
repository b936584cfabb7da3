"""Execute a notebook in a fresh kernel, and hold what it prints against what is in the file.

    python -m tests.notebooks            # `make notebook`: execute docs/notebooks/*.ipynb and write them with outputs

The tests call `execute` and `differences`; they never write. Charts are stored as Plotly data and, drawn by Chromium,
as PNG beside it, because places that show a notebook without running it show no Plotly.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from tests.conftest import CHROMIUM, ROOT

FOLDER = ROOT / "docs" / "notebooks"
PLOTLY = "application/vnd.plotly.v1+json"
SECONDS = 300
"""How long one cell may take on a busy machine; the whole notebook takes half a minute."""
_NUMBER = re.compile(r"[-+−]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")


def execute(path: Path) -> Any:
    """The notebook with fresh outputs. Raises CellExecutionError for a cell that fails.

    What libraries write on stderr is about the machine, not the notebook, and is left out.
    """
    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as own:
        places = dict.fromkeys(("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"), own)
        with patch.dict(os.environ, {**places, "JUPYTER_PLATFORM_DIRS": "1", "HF_HUB_OFFLINE": "1"}):
            client = NotebookClient(
                book,
                timeout=SECONDS,
                kernel_name="python3",
                # No port is opened.
                config=Config({"AsyncKernelManager": {"transport": "ipc", "ip": f"{own}/kernel"}}),
                # In the root of the working tree, so that its own packages are imported.
                resources={"metadata": {"path": str(ROOT)}},
                record_timing=False,
                coalesce_streams=True,
            )
            client.execute()
    for cell in _code(book):
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return book


def differences(stored: Any, fresh: Any) -> list[str]:
    """Cells whose stored output is not what they print now: the same words, and numbers that agree within 2 %."""
    found = []
    for number, (old, new) in enumerate(zip(_code(stored), _code(fresh), strict=True), start=1):
        if old.execution_count != number:
            found.append(f"cell {number} was not executed in order: its count is {old.execution_count}")
        if not _alike(_printed(old), _printed(new)):
            found.append(f"cell {number} holds {_printed(old)!r} and prints {_printed(new)!r}")
    return found


def charts(book: Any) -> Iterator[Any]:
    """Every output that is a chart, as its data by media type."""
    for cell in _code(book):
        yield from (output.data for output in cell.outputs if PLOTLY in output.get("data", {}))


def _code(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def _printed(cell: Any) -> str:
    parts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
    kinds = [f"<{kind}>" for output in cell.outputs for kind in output.get("data", {}) if kind == PLOTLY]
    return "\n".join([*parts, *kinds])


def _alike(stored: str, fresh: str) -> bool:
    if re.sub(r"\s+", " ", _NUMBER.sub("#", stored)) != re.sub(r"\s+", " ", _NUMBER.sub("#", fresh)):
        return False
    pairs = zip(_numbers(stored), _numbers(fresh), strict=True)
    return all(abs(old - new) <= max(0.01, 0.02 * abs(old)) for old, new in pairs)


def _numbers(text: str) -> list[float]:
    return [float(found.replace(",", "").replace("−", "-")) for found in _NUMBER.findall(text)]


def _draw(book: Any) -> None:
    """Put a PNG beside every chart's data."""
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    with sync_playwright() as playwright:
        switches = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=switches)
        page = browser.new_page()
        page.set_content("<div></div>")
        page.add_script_tag(content=get_plotlyjs())
        for data in charts(book):
            address = page.evaluate("figure => Plotly.toImage(figure, {format: 'png', width: 900})", data[PLOTLY])
            data["image/png"] = address.removeprefix("data:image/png;base64,")
        browser.close()


def main() -> None:
    for path in sorted(FOLDER.glob("*.ipynb")):
        book = execute(path)
        if CHROMIUM is None:
            sys.exit("Chromium is needed to draw the charts: apt-get install chromium fonts-dejavu-core")
        _draw(book)
        nbformat.write(book, path)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
