"""The server imports beforehand what the first page would wait for, and nothing that only the worker needs."""

import subprocess
import sys

SCRIPT = """
import sys, threading
from app.warming import warm_up
failed = []
threading.excepthook = failed.append
thread = warm_up()
thread.join(60)
assert not thread.is_alive() and not failed, failed
print(sorted({"plotly.graph_objs.scatter", "scipy.stats", "torch"} & set(sys.modules)))
"""


def test_what_pages_need_is_there_and_torch_is_not() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("['plotly.graph_objs.scatter', 'scipy.stats']", 0), done.stderr
