"""A backup made while a real worker computes and people start runs: restored, the run that was cut off goes on."""

import signal
import threading
from pathlib import Path

from analysis.organisms import organism_path
from backend.cli import run as command
from backend.services import NewRun, Services, open_services
from backend.services.backups import make_backup, restore_backup
from backend.settings import Settings
from tests.backend.jobs.test_worker import shard_times, status, worker

PROMPTS = 24


def test_a_restored_run_goes_on_from_the_shards_of_the_backup(
    settings: Settings, services: Services, tmp_path: Path
) -> None:
    lines = (organism_path("planted") / "prompts.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    prompts = services.prompt_sets.create("".join(lines[: PROMPTS + 1]).encode(), "few.csv")
    new = NewRun(model="organism:planted", prompt_set_id=prompts.id, preset="quick")
    run, stop = services.runs.create(new), threading.Event()

    def write() -> None:
        while not stop.wait(0.02):
            services.runs.cancel(services.runs.create(new).id)

    writer = threading.Thread(target=write)
    with worker(settings) as process:
        process.wait_until(lambda: len(shard_times(settings, run)) >= 3, "three shards are there")
        writer.start()
        try:
            make_backup(settings, tmp_path / "backup.tar.zst")
        finally:
            stop.set()
            writer.join()
        assert status(services, run) == "running"
        process.end(signal.SIGKILL)

    target = Settings(data_dir=tmp_path / "new")
    restore_backup(target, tmp_path / "backup.tar.zst")
    kept = shard_times(target, run)
    assert len(kept) >= 3
    restored = open_services(target)
    assert status(restored, run) == "running"
    with worker(target) as process:
        process.wait_until(lambda: status(restored, run) != "running", "the run has ended")
        assert process.end(signal.SIGTERM) == 0
    ended = restored.runs.get(run.id)
    assert (ended.status, ended.error, ended.attempts) == ("done", None, 2)
    after = shard_times(target, run)
    assert {name: after[name] for name in kept} == kept
    assert len(after) > len(kept)
    assert restored.results.report(run.id)["prompts"]["harmful"] == PROMPTS // 2
    for one in restored.runs.list(limit=500).items:
        assert restored.runs.events(one.id)[0].number == 1
    restored.close()
    assert command(["check", "--data", str(target.data_dir)]) == 0
