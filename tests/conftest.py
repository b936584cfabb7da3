"""What every test may use, and what a test must never do: reach another host, or take more than its share of cores."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.postgres import NO_POSTGRES, Server, programs, running_server

# Before anything imports a library that reads them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
for _name in [name for name in os.environ if name.startswith("EXPERTSCOPE_")]:
    del os.environ[_name]

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
NO_CHROMIUM = "Chromium is not installed: apt-get install chromium fonts-dejavu-core (`make test` does so as root)"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--database",
        choices=("sqlite", "postgresql"),
        default="sqlite",
        help="what the application database of the backend's tests is; postgresql starts a private server",
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A private PostgreSQL server."""
    with running_server() as server:
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test under tests/browser needs the browser, and whoever asks for it PostgreSQL."""
    for item in items:
        if programs() is None and "postgres" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason=NO_POSTGRES))
        if ROOT / "tests" / "browser" in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
    """What shares costly fixtures stays in one process: each half of the browser tests with a server of its own, and
    the tests of a file.

    pytest-xdist's own groups do not work with this pytest (its issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if file.startswith("tests/browser/"):
            return "browser, first half" if file < "tests/browser/test_i" else "browser, second half"
        return file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the working tree."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Published prompt sets and refusal labels that lie beside a developer's working tree; the repository has none."""
    if not SHARED.is_dir():
        pytest.skip("no folder of published prompt sets beside the working tree")
    return SHARED
