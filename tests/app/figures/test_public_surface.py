"""What `app.figures` promises: the charts, without the pages."""

import subprocess
import sys
from pathlib import Path

from app import figures


def test_the_package_offers_what_it_lists() -> None:
    assert figures.__all__ == sorted(figures.__all__)
    assert all(callable(getattr(figures, name)) for name in figures.__all__)


def test_a_notebook_gets_charts_without_the_web_and_without_torch(repository: Path) -> None:
    others = "{'analysis', 'backend', 'dash', 'fastapi', 'torch'}"
    script = f"import sys; from app.figures import heatmap; print(sorted({others} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=repository)
    assert done.stdout.strip() == "[]"
