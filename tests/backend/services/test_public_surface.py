"""What `backend.services` promises to pages, routes and jobs."""

import subprocess
import sys

from backend import services


def test_every_promised_name_is_there_once() -> None:
    assert len(set(services.__all__)) == len(services.__all__)
    assert [name for name in services.__all__ if not hasattr(services, name)] == []


def test_opening_the_server_does_not_load_torch() -> None:
    """It takes seconds; only registering a model needs it."""
    script = "import sys, backend.main; print(sorted({'torch', 'transformers', 'jsonschema'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
