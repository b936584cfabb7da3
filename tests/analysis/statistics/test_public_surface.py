"""What `analysis.statistics` promises to other packages."""

import inspect
import subprocess
import sys

from analysis import statistics


def test_all_is_sorted_and_complete() -> None:
    order = sorted(statistics.__all__, key=lambda name: (not name.isupper(), name))
    assert order == list(statistics.__all__)
    public = {
        name for name, value in vars(statistics).items() if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert public == set(statistics.__all__)


def test_importing_it_is_cheap() -> None:
    """scipy.stats and statsmodels take over a second; only the calls that need them may pay."""
    heavy = "{'scipy.stats', 'statsmodels', 'torch'}"
    script = f"import sys, analysis.statistics; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
