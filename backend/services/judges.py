"""Judges and the people who check them: which there are, the review queue of a run, human labels, calibration.

Human labels of the review queue are of answers that judges find hard, so they say little of a judge's usual error:
calibration counts imported labels and random samples, and shows those of the queue by themselves.
"""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from analysis.errors import InputError, NotFoundError, TooLargeError
from analysis.outcomes.judges import Item, Judge, Labelled, calibrate, judge_all, judge_names, load_judge
from analysis.outcomes.judges.answers_file import AnswersFile, read_answers
from analysis.outcomes.judges.calibration import by_model
from analysis.outcomes.judges.human import human_label, unknown_label
from analysis.outcomes.judges.judgement import LABELS
from analysis.prompts.importers.faults import FaultLog
from backend.access import require
from backend.db import Database
from backend.db.tables import HumanLabelRow, JudgeLabelRow, OutcomeRow, PromptRow, RunRow
from backend.services.audit_log import AuditLog
from backend.services.content import Content
from backend.services.ids import new_id
from backend.services.records import ImportedLabels, JudgeInfo, ReviewItem
from backend.services.run_rows import find
from backend.settings import Settings

Recorded = dict[tuple[str, str], dict[str, str]]
"""(id of a human label, judge) → version → what it said."""
Verdicts = list[tuple[str, str, str]]
"""Judge, version, label."""
SHOWN = ("open", "all", "sample")
SAMPLE = 40
LABEL_COLUMNS = ("human", "final_label", "label")
REPRESENTATIVE = ("import", "sample")
MAX_ROWS = 20_000
ReviewItems = list[ReviewItem]
JudgeInfos = list[JudgeInfo]


class Judges:
    """Reads and writes human labels. Judges that send texts elsewhere are never asked for calibration."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._audit_log = AuditLog(database)

    def list(self) -> JudgeInfos:
        """The judges that a run may name: the rules, the published lists, and configured endpoints."""
        return [JudgeInfo(one.name, one.version, one.local) for one in map(load_judge, judge_names())]

    def review(self, run_id: str, show: str = "open", *, texts: bool = False) -> ReviewItems:
        """The answers of a run that people should look at, in the run's order.

        `show`: "open" has disagreements, unjudged and partial ones that nobody labelled yet, "all" those with labels
        too, "sample" up to 40 answers drawn at random, labelled or not. Raises InputError for another word.
        """
        if show not in SHOWN:
            raise InputError(f"unknown choice '{show}': expected one of {', '.join(SHOWN)}", field="show")
        content = Content(self._settings)
        shown = texts and content.shows_completions
        with self._database.read() as session:
            run = find(session, run_id)
            rows = [*session.scalars(select(OutcomeRow).filter_by(run_id=run_id).order_by(OutcomeRow.position))]
            human = _human(session, run_id)
            prompts = _prompts(session, run) if shown and content.shows_prompts else {}
        chosen = _sample(rows, run_id) if show == "sample" else [(row, why) for row in rows if (why := _reason(row))]
        found = [_item(row, why, human.get(row.position), prompts, shown) for row, why in chosen]
        return [one for one in found if show != "open" or one.human is None]

    def label(self, run_id: str, position: int, label: str | None, *, sampled: bool = False) -> ReviewItem:
        """Keep what a person calls one answer of a run, in place of an older label; None takes it back.

        `sampled` says that the answer was met in the run's random sample, so that its label counts as a usual one.
        Raises NotFoundError for an answer that the run does not have, InputError for a label that there is not.
        """
        require("judges.label")
        if label is not None and (label not in LABELS or label == "unjudged"):
            raise InputError(unknown_label(label), field="label")
        with self._database.write() as session:
            run = find(session, run_id)
            row = session.get(OutcomeRow, (run_id, position))
            if row is None:
                raise NotFoundError(f"run '{run_id}' has no answer at position {position}: its review queue lists them")
            key, prompts = _key("run", run_id, position), _prompts(session, run)
            session.execute(delete(HumanLabelRow).where(HumanLabelRow.key == key))
            if label is not None:
                text = prompts.get(row.prompt_id, "")
                added = _row(key, _source(session, row, sampled), run.model.name, text, row.text, label)
                added.run_id, added.position = run_id, position
                session.add(added)
                session.flush()
                _keep(session, {added.id: _said(run, row)})
        return _item(row, _reason(row) or "sample", label, {}, shown=False)

    def import_labels(
        self, data: bytes, filename: str, *, model: str | None = None, column: str | None = None
    ) -> ImportedLabels:
        """Store the labelled answers of a CSV file: prompt, completion, a column with what people say (`column`, else
        human, final_label or label), and model where it has one; `model` names it otherwise, else the file's name does.

        Nothing is stored unless every row is right. Rows without a label are left out. Raises PromptFileError with rows
        and columns, TooLargeError.
        """
        require("judges.label")
        limit = self._settings.upload_limit_bytes
        if len(data) > limit:
            raise TooLargeError(f"'{filename}' has {len(data):,} bytes, the limit is {limit:,}", field="file")
        answers = read_answers(data, filename, max_rows=MAX_ROWS)
        rows = _imported(answers, filename, " ".join((model or "").split()) or PurePath(filename).stem, column)
        keys = [row.key for row in rows]
        with self._database.write() as session:
            known = [key for part in _parts(keys) for key in session.scalars(_with_keys(part))]
            for part in _parts(known):
                session.execute(delete(HumanLabelRow).where(HumanLabelRow.key.in_(part)))
            session.add_all(rows)
            self._audit_log.append_in(session, "labels.imported", filename[:200], {"rows": len(rows)})
        return ImportedLabels(len(rows), len(known), dict(Counter(row.model for row in rows)))

    def calibration(self) -> dict[str, Any]:
        """Every judge against the people: over all answers and for each target model by itself.

        `review` has the same for the labels of the review queue, which are of hard answers. Local judges are asked
        about answers that they have not seen in their present version; what a run's other judges said is kept.
        """
        with self._database.read() as session:
            rows = [*session.scalars(select(HumanLabelRow).order_by(HumanLabelRow.created, HumanLabelRow.id))]
            said = _recorded(session)
        asked = [judge for judge in map(load_judge, judge_names()) if judge.local]
        self._ask(asked, rows, said)
        versions = {judge.name: judge.version for judge in asked}
        names = [*versions, *sorted({name for _, name in said} - set(versions))]
        fair = [row for row in rows if row.source in REPRESENTATIVE]
        hard = [row for row in rows if row.source not in REPRESENTATIVE]
        return {
            "labels": len(rows),
            "sources": dict(Counter(row.source for row in rows)),
            "judges": [_measured(name, versions.get(name), fair, said) for name in names] if fair else [],
            "review": [_measured(name, versions.get(name), hard, said) for name in names] if hard else [],
        }

    def _ask(self, judges: Sequence[Judge], rows: Sequence[HumanLabelRow], said: Recorded) -> None:
        """Add to `said`, and keep, what `judges` call the answers that they have not seen in their version."""
        found: dict[str, Verdicts] = {}
        for judge in judges:
            new = [row for row in rows if judge.version not in said.get((row.id, judge.name), {})]
            judged = judge_all(judge, [Item(row.prompt, row.completion) for row in new])
            for row, one in zip(new, judged, strict=True):
                said.setdefault((row.id, judge.name), {})[judge.version] = one.label
                found.setdefault(row.id, []).append((judge.name, judge.version, one.label))
        if found:
            with self._database.write() as session:
                _keep(session, found)


def _measured(name: str, version: str | None, rows: Sequence[HumanLabelRow], said: Recorded) -> dict[str, Any]:
    """One judge. The labels of a judge that is not asked anew are those of whichever version a run had."""
    answers = []
    for row in rows:
        labels = said.get((row.id, name), {})
        label = labels.get(version) if version is not None else next(iter(labels.values()), None)
        if label is not None:
            answers.append(Labelled(label, row.label, row.model))
    return {"judge": name, "version": version, "all": calibrate(answers), "models": by_model(answers)}


def _reason(row: OutcomeRow) -> str | None:
    """Why people should look at an answer; None where they need not."""
    if row.second_label is not None and row.second_label != row.label:
        return "disagreement"
    return row.label if row.label in ("unjudged", "partial") else None


def _sample(rows: Sequence[OutcomeRow], run_id: str) -> list[tuple[OutcomeRow, str]]:
    """The same answers each time, in the run's order."""
    base = [row for row in rows if row.variant == "base"]
    drawn = random.Random(run_id).sample(base, min(SAMPLE, len(base)))
    return [(row, "sample") for row in sorted(drawn, key=lambda row: row.position)]


def _source(session: Session, row: OutcomeRow, sampled: bool) -> str:
    if not sampled:
        return "review"
    rows = session.scalars(select(OutcomeRow).filter_by(run_id=row.run_id).order_by(OutcomeRow.position)).all()
    return "sample" if any(one.position == row.position for one, _ in _sample(rows, row.run_id)) else "review"


def _item(row: OutcomeRow, reason: str, human: str | None, prompts: dict[str, str], shown: bool) -> ReviewItem:
    return ReviewItem(
        run_id=row.run_id,
        position=row.position,
        prompt_id=row.prompt_id,
        variant=row.variant,
        reason=reason,
        label=row.label,
        second_label=row.second_label,
        rule=row.rule,
        human=human,
        prompt=prompts.get(row.prompt_id) if shown else None,
        text=row.text if shown else None,
    )


def _human(session: Session, run_id: str) -> dict[int, str]:
    query = select(HumanLabelRow.position, HumanLabelRow.label).where(HumanLabelRow.run_id == run_id)
    return {row[0]: row[1] for row in session.execute(query) if row[0] is not None}


def _prompts(session: Session, run: RunRow) -> dict[str, str]:
    query = select(PromptRow.prompt_id, PromptRow.text).where(PromptRow.prompt_set_id == run.prompt_set_id)
    return {row[0]: row[1] for row in session.execute(query)}


def _said(run: RunRow, row: OutcomeRow) -> Verdicts:
    """What the run's judges called an answer. Those that calibration asks by itself are left to it."""
    both = [(run.judge, row.label), (run.second_judge, row.second_label)]
    asked = {judge.name for judge in map(load_judge, judge_names()) if judge.local}
    return [(judge, "run", label) for judge, label in both if judge and label and judge not in asked]


def _row(key: str, source: str, model: str, prompt: str, completion: str, label: str) -> HumanLabelRow:
    return HumanLabelRow(
        id=new_id(),
        key=key,
        source=source,
        model=model,
        prompt=prompt,
        completion=completion,
        label=label,
        created=datetime.now(UTC),
    )


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()


def _imported(answers: AnswersFile, filename: str, model: str, column: str | None) -> list[HumanLabelRow]:
    labels, log = _label_column(answers, filename, column), FaultLog(filename)
    named = next((name for name in answers.columns if name.strip().lower() == "model"), None)
    rows: dict[str, HumanLabelRow] = {}
    for row in answers.rows:
        cell = row.cells[labels]
        label = human_label(cell)
        if not cell.strip():
            continue
        if label is None:
            log.add(unknown_label(cell), row=row.number, column=labels)
            continue
        whose = row.cells[named].strip() if named else ""
        texts = (whose or model, row.cells[answers.prompt], row.cells[answers.completion])
        key = _key("import", *texts)
        rows[key] = _row(key, "import", *texts, label)
    log.close()
    if not rows:
        raise InputError(f"{filename}: no row has a label in column '{labels}'", field="file")
    return [*rows.values()]


def _label_column(answers: AnswersFile, filename: str, column: str | None) -> str:
    if column:
        return answers.column(column)
    names = {name.strip().lower(): name for name in answers.columns}
    found = next((names[name] for name in LABEL_COLUMNS if name in names), None)
    if found is None:
        log = FaultLog(filename)
        log.add(f"no column says what people call the answers: expected {', '.join(LABEL_COLUMNS)}", row=1)
        log.close()
    assert found is not None
    return found


def _recorded(session: Session) -> Recorded:
    said: Recorded = {}
    for row in session.scalars(select(JudgeLabelRow)):
        said.setdefault((row.human_label_id, row.judge), {})[row.version] = row.label
    return said


def _keep(session: Session, said: Mapping[str, Verdicts]) -> None:
    """Store what is not stored yet; a label that was taken back meanwhile needs nothing."""
    ids = [*said]
    there = {one for part in _parts(ids) for one in session.scalars(_with_ids(part))}
    known = {
        (row.human_label_id, row.judge, row.version)
        for part in _parts(ids)
        for row in session.scalars(select(JudgeLabelRow).where(JudgeLabelRow.human_label_id.in_(part)))
    }
    new = [
        {"human_label_id": row_id, "judge": judge, "version": version, "label": label}
        for row_id, judged in said.items()
        for judge, version, label in judged
        if row_id in there and (row_id, judge, version) not in known
    ]
    if new:
        session.execute(insert(JudgeLabelRow), new)


def _parts(keys: Sequence[str], size: int = 500) -> Iterable[Sequence[str]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _with_keys(keys: Sequence[str]) -> Any:
    return select(HumanLabelRow.key).where(HumanLabelRow.key.in_(keys))


def _with_ids(ids: Sequence[str]) -> Any:
    return select(HumanLabelRow.id).where(HumanLabelRow.id.in_(ids))
