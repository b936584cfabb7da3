"""Kill workers and server at random moments while they work, and see whether anything but time was lost.

    python -m benchmarks.chaos [--runs 20] [--audits 4] [--kills 100] [--workers 2] [--seed 0] [--json]

Real processes, a real model organism, quick audits of few prompts. First every audit is made undisturbed. Then the runs
are queued over the API, under an Idempotency-Key each, while `kill -9` falls on workers, on the server, on both, and
some workers are frozen until their heartbeat has lapsed. At the end every report has to be the undisturbed one in
everything but times, and database and run folders hold exactly what belongs there. Ends with 1 where that is not so.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select, text

from analysis.organisms import organism_path
from analysis.shards import FolderShards
from backend import logs
from backend.db.tables import OutcomeRow, RunDocumentRow, RunEventRow, RunLayerRow, RunResultRow, RunRow, RunShardRow
from backend.services import ENDED, NewRun, Services, open_services
from backend.settings import Settings

MODEL = "organism:planted"
STALE_SECONDS = 10.0
LEAST_SHARDS = 6
PRIORITIES = ("low", "normal", "high")
UNLIKE = ("created", "timings")
"""What two reports of one audit may differ in."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """`audits` are different, by their seeds; further runs repeat them. `pause` seconds, on average, lie between two
    blows. Without `api` runs are queued directly and no server runs."""

    runs: int = 20
    audits: int = 4
    prompts: int = 24
    kills: int = 100
    workers: int = 2
    seed: int = 0
    pause: float = 5.0
    freezes: int = 5
    api: bool = True
    patience: float = 3_600.0


@dataclass
class Outcome:
    """What was done to the runs, and what became of them. `wrong` are sentences, empty when all is well."""

    kills: Counter[str] = field(default_factory=Counter)
    freezes: int = 0
    runs: int = 0
    done: int = 0
    equal: int = 0
    attempts: int = 0
    shards: int = 0
    begun: int = 0
    taken_over: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kills.items()))
        return [
            f"kill -9: {self.kills.total()} ({kinds}); workers frozen past their heartbeat: {self.freezes}",
            f"runs: {self.done} of {self.runs} done, in {self.attempts} attempts, {self.taken_over} overtaken alive",
            f"reports equal to the undisturbed ones in all but times: {self.equal} of {self.runs}",
            f"shards: {self.shards} kept, {self.begun} begun: {self.begun - self.shards} computed in vain",
            f"seconds: {self.seconds:.0f}",
            *(f"WRONG: {sentence}" for sentence in self.wrong),
            "nothing was lost, doubled or orphaned" if not self.wrong else f"{len(self.wrong)} things are wrong",
        ]


def storm(plan: Plan, folder: Path, say: Say) -> Outcome:
    """Carry the plan out below `folder`, which has to be empty."""
    started = time.monotonic()
    expected = undisturbed(folder / "calm", plan, say)
    settings = Settings(data_dir=folder / "storm", first_run=False, worker_stale_seconds=STALE_SECONDS)
    services, outcome = open_services(settings), Outcome(runs=plan.runs)
    prompts = _few_prompts(services, plan.prompts)
    services.models.register(MODEL)
    with Processes(settings, plan, folder / "logs") as processes:
        queue = threading.Thread(target=_queue_runs, args=(services, processes, prompts, plan, outcome), daemon=True)
        queue.start()
        _strike(services, processes, plan, outcome, say)
        queue.join(60)
        processes.stop()
    check(services, expected, folder / "logs", outcome)
    outcome.seconds = time.monotonic() - started
    services.close()
    return outcome


def undisturbed(data: Path, plan: Plan, say: Say) -> dict[int, dict[str, Any]]:
    """The report of each seed, made by this process, which nobody kills."""
    from backend.jobs.run_job import RunJob

    services, reports = open_services(Settings(data_dir=data, first_run=False)), {}
    prompts, job = _few_prompts(services, plan.prompts), RunJob(services)
    for seed in range(plan.audits):
        began = time.monotonic()
        run = services.runs.mark_running(services.runs.create(_asked(prompts, seed)).id)
        job.perform(run, FolderShards(services.settings.run_dir(run.id) / "shards"))
        reports[seed] = lasting(services.results.report(run.id))
        say(f"undisturbed audit, seed {seed}: {time.monotonic() - began:.0f} s")
    services.close()
    return reports


def lasting(report: dict[str, Any]) -> dict[str, Any]:
    """The report without when it was made and how long that took."""
    return {key: value for key, value in report.items() if key not in UNLIKE}


def _few_prompts(services: Services, count: int) -> str:
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    return services.prompt_sets.create("".join(lines[: count + 1]).encode(), "few.csv").id


def _asked(prompts: str, seed: int, priority: Any = "normal") -> NewRun:
    return NewRun(MODEL, prompts, preset="quick", seed=seed, device="cpu", priority=priority)


class Processes:
    """The server, with a worker of its own, and workers beside it. Each writes its log to a file of its own."""

    def __init__(self, settings: Settings, plan: Plan, folder: Path) -> None:
        self._settings, self._folder = settings, folder
        self._count = 0
        self.port = _free_port()
        folder.mkdir(parents=True)
        self.server = self._serve() if plan.api else None
        self.workers = [self._work() for _ in range(plan.workers)]

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._all():
            process.kill()
            process.wait()

    def kill_worker(self, place: int) -> None:
        """Kill it and start another at once."""
        _kill(self.workers[place])
        self.workers[place] = self._work()

    def kill_server(self) -> None:
        assert self.server is not None
        _kill(self.server)
        self.server = self._serve()

    def stop(self) -> None:
        """End everything as a person would."""
        for process in self._all():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self._all():
            process.wait(60)

    def _all(self) -> list[subprocess.Popen[bytes]]:
        return [*self.workers, *([self.server] if self.server else [])]

    def _serve(self) -> subprocess.Popen[bytes]:
        return self._start("serve", "--port", str(self.port))

    def _work(self) -> subprocess.Popen[bytes]:
        return self._start("worker")

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "EXPERTSCOPE_FIRST_RUN": "false",
            "EXPERTSCOPE_LOG_JSON": "true",
            "EXPERTSCOPE_LOG_LEVEL": "debug",
            "EXPERTSCOPE_WORKER_STALE_SECONDS": str(STALE_SECONDS),
            "OMP_NUM_THREADS": "1",
        }
        self._count += 1
        with (self._folder / f"{self._count:04d}-{command[0]}.log").open("wb") as log:
            arguments = [sys.executable, "-m", "backend.cli", *command, "--data", str(self._settings.data_dir)]
            return subprocess.Popen(
                arguments, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log
            )


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _queue_runs(services: Services, processes: Processes, prompts: str, plan: Plan, outcome: Outcome) -> None:
    """Queue the runs over the API, asking again under the same key while the server is away."""
    chance = random.Random(plan.seed + 1)
    for number in range(plan.runs):
        asked = _asked(prompts, number % plan.audits, chance.choice(PRIORITIES))
        key = f"chaos-{number}"
        if not plan.api:
            services.runs.create(asked, key)
            continue
        while not _post(processes.port, asked, key, outcome):
            time.sleep(0.3)


def _post(port: int, asked: NewRun, key: str, outcome: Outcome) -> bool:
    body = {name: value for name, value in asdict(asked).items() if value not in (None, {})}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/runs",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Idempotency-Key": key},
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return bool(answer.status == 202)
    except urllib.error.HTTPError as error:
        outcome.wrong.append(f"the API answered {error.code} to a run that was queued")
        return True
    except (OSError, http.client.HTTPException):  # no server, or one that died while it answered
        return False


def _strike(services: Services, processes: Processes, plan: Plan, outcome: Outcome, say: Say) -> None:
    """Blow after blow until there were enough and every run has ended. The last runs end in peace."""
    chance = random.Random(plan.seed)
    frozen: dict[int, float] = {}
    end = time.monotonic() + plan.patience
    freezes = plan.freezes
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 2 * plan.pause) if outcome.kills.total() < plan.kills else 1.0)
        _thaw(processes, frozen, outcome)
        if outcome.kills.total() >= plan.kills and not frozen:
            if _all_ended(services, plan.runs):
                return
            continue
        awake = [place for place in range(plan.workers) if place not in frozen]
        if freezes and awake and len(frozen) < plan.workers - 1 and chance.random() < 0.1:
            place = chance.choice(awake)
            processes.workers[place].send_signal(signal.SIGSTOP)
            frozen[place], freezes = time.monotonic() + STALE_SECONDS + 3, freezes - 1
        elif awake and _due(services, plan, outcome):
            _blow(processes, awake, plan, outcome, chance)
            if outcome.kills.total() % 10 == 0:
                counts = services.runs.counts()
                say(f"{outcome.kills.total()} kills; runs: {', '.join(f'{k} {v}' for k, v in counts.items() if v)}")
    outcome.wrong.append(f"not every run had ended after {plan.patience:.0f} s")


def _due(services: Services, plan: Plan, outcome: Outcome) -> bool:
    """Whether a further blow is in step: blows spread over the runs, and only a run that has begun can suffer."""
    counts = services.runs.counts()
    if not counts["running"]:
        return False
    ended = sum(counts[status] for status in ENDED)
    return outcome.kills.total() < min(plan.kills, plan.kills * (ended + 2) / plan.runs)


def _blow(processes: Processes, awake: list[int], plan: Plan, outcome: Outcome, chance: random.Random) -> None:
    kind = chance.choices(("worker", "api", "both"), (0.7, 0.15, 0.15))[0] if plan.api else "worker"
    if kind in ("worker", "both"):
        processes.kill_worker(chance.choice(awake))
        outcome.kills["worker" if kind == "worker" else "worker with the server"] += 1
    if kind in ("api", "both"):
        processes.kill_server()
        outcome.kills["server and its worker"] += 1


def _thaw(processes: Processes, frozen: dict[int, float], outcome: Outcome) -> None:
    for place, wake in list(frozen.items()):
        if time.monotonic() >= wake:
            processes.workers[place].send_signal(signal.SIGCONT)
            outcome.freezes += 1
            del frozen[place]


def _all_ended(services: Services, runs: int) -> bool:
    counts = services.runs.counts()
    return sum(counts[status] for status in ENDED) == runs


def check(services: Services, expected: dict[int, dict[str, Any]], log_folder: Path, outcome: Outcome) -> None:
    """Look through reports, database and folders, and note whatever is not as it has to be."""
    wrong = outcome.wrong
    runs = services.runs.list(limit=500).items
    if len(runs) != outcome.runs:
        wrong.append(f"{outcome.runs} runs were asked for and there are {len(runs)}")
    for run in runs:
        outcome.attempts += run.attempts
        if run.status != "done":
            wrong.append(f"run {run.id} is {run.status}: {run.error}")
            continue
        outcome.done += 1
        if lasting(services.results.report(run.id)) == expected[run.seed]:
            outcome.equal += 1
        else:
            wrong.append(f"the report of run {run.id} is not the undisturbed one")
        wrong.extend(_wrong_events(services, run.id))
        wrong.extend(_wrong_files(services, run.id))
    outcome.shards = _rows(services, RunShardRow)
    wrong.extend(_wrong_rows(services, {run.id for run in runs}))
    outcome.begun, outcome.taken_over = _logged(log_folder, "shard begun"), _logged(log_folder, "run was taken over")
    dearest = outcome.kills.total() + outcome.taken_over
    if outcome.begun - outcome.shards > dearest:
        wrong.append(f"{outcome.begun - outcome.shards} shards were computed in vain, by {dearest} kills and takings")
    services.workers.forget_dead()  # as the next worker to start does
    left = sorted(path.name for path in (services.settings.data_dir / "workers").iterdir())
    if left:
        wrong.append(f"locks of dead workers are left: {', '.join(left)}")


def _wrong_events(services: Services, run_id: str) -> Iterator[str]:
    events = services.runs.events(run_id)
    if [event.number for event in events] != list(range(1, len(events) + 1)):
        yield f"the events of run {run_id} are not numbered without a gap"
    kinds = Counter(event.kind for event in events)
    if kinds["created"] != 1 or kinds["done"] != 1 or events[-1].kind != "done":
        yield f"run {run_id} was not created once and done once: {dict(kinds)}"
    if kinds["started"] != services.runs.get(run_id).attempts:
        yield f"run {run_id} has {kinds['started']} starts and {services.runs.get(run_id).attempts} attempts"


def _wrong_files(services: Services, run_id: str) -> Iterator[str]:
    """Shards and receipts say the same, and nothing else lies in the run's folder."""
    folder, receipts = services.settings.run_dir(run_id), services.attempts.receipts(run_id)
    if len(receipts) < LEAST_SHARDS:
        yield f"run {run_id} has {len(receipts)} shards, too few to be a test"
    there = {path.name for path in folder.rglob("*") if path.is_file()}
    if there != {f"{key}.safetensors" for key in receipts}:
        yield f"run {run_id} has files without receipts, or receipts without files"
    damaged: list[str] = []
    store = FolderShards(folder / "shards", damaged=lambda key, why: damaged.append(f"{key} ({why})"))
    for key, sha256 in receipts.items():
        shard = store.read(key)
        if shard is None or shard.sha256 != sha256:
            damaged.append(key)
    if damaged:
        yield f"run {run_id} has shards that are not what was kept: {', '.join(damaged)}"


def _wrong_rows(services: Services, runs: set[str]) -> Iterator[str]:
    with services.database.read() as session:
        if services.database.engine.dialect.name == "sqlite":
            state = session.scalar(text("pragma integrity_check"))
            strays = session.execute(text("pragma foreign_key_check")).all()
            if state != "ok" or strays:
                yield f"the database is damaged: {state}, {len(strays)} rows that belong to nothing"
        for table in (RunResultRow, RunLayerRow, RunShardRow, RunEventRow, OutcomeRow):
            owners = set(session.scalars(select(table.run_id).distinct()))
            if owners != runs:
                yield f"{table.__tablename__} has rows of {len(owners)} runs, and there are {len(runs)}"
        if session.scalar(select(func.count()).select_from(RunDocumentRow)):
            yield "an audit has left a document of another kind"
        if session.scalar(select(func.count()).where(RunRow.worker.is_not(None))):
            yield "a run that has ended still belongs to a worker"
    folders = {path.name for path in (services.settings.data_dir / "runs").iterdir()}
    if folders != runs:
        yield f"there are {len(folders)} run folders and {len(runs)} runs"


def _rows(services: Services, table: Any) -> int:
    with services.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def _logged(folder: Path, event: str) -> int:
    """How often the processes logged that."""
    needle = f'"event": "{event}"'
    return sum(path.read_text(encoding="utf-8", errors="replace").count(needle) for path in folder.iterdir())


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    folder = given or Path(tempfile.mkdtemp(prefix="expertscope-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        if given is None:
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for name in ("runs", "audits", "kills", "workers", "seed", "freezes"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    parser.add_argument("--pause", type=float, default=Plan.pause, help="seconds between two blows, on average")
    parser.add_argument("--folder", type=Path, default=None, help="an empty folder that is kept")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = {name: getattr(given, name) for name in ("runs", "audits", "kills", "workers", "seed", "freezes", "pause")}
    logs.configure(Settings(log_level="error"))
    with _folder(given.folder) as folder:
        outcome = storm(Plan(**sizes), folder, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(asdict(outcome)) if given.json else "\n".join(outcome.lines()))
    sys.exit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
