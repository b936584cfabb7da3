"""Turns a table with standard columns into prompts, and says of every cell that cannot be used where it is and why.

Called by `parse_prompts` after the file's format and its header are settled.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.prompts.importers.faults import FaultLog
from analysis.prompts.importers.json_files import kind_of
from analysis.prompts.importers.table import Limits, Row, Table
from analysis.prompts.importers.text import forbidden_character, shown, without_artefacts
from analysis.prompts.prompt_set import Group, Label, Prompt

_NAME_CHARS = 200  # ids, topics and pair ids are shown in lists and headings

_LABELS: dict[str, Label | None] = {
    "": None,
    "harmful": "harmful",
    "malicious": "harmful",
    "unsafe": "harmful",
    "benign": "benign",
    "harmless": "benign",
    "safe": "benign",
}
_GROUPS: dict[str, Group] = {"": "regular", "regular": "regular", "jailbreak": "jailbreak"}


@dataclass(frozen=True)
class NumberedPrompt:
    """A prompt and its row in the file, counted as a spreadsheet does."""

    row: int
    prompt: Prompt


def prompts_of(table: Table, log: FaultLog, limits: Limits) -> tuple[NumberedPrompt, ...]:
    """The prompts in the table's order; what is wrong with a cell goes to `log`, and then the result means nothing.

    Ids may be empty (`with_ids`), and ids and pairs are not yet held against one another (`check_ids`, `check_pairs`).
    """
    reader = _RowReader(table, log, limits)
    return tuple(NumberedPrompt(row.number, reader.prompt(row)) for row in table.rows)


@dataclass(frozen=True)
class _RowReader:
    table: Table
    log: FaultLog
    limits: Limits

    def prompt(self, row: Row) -> Prompt:
        label = self._label(row)
        return Prompt(
            id=self._name(row, "id"),
            text=self._text(row),
            label=label,
            topic=self._name(row, "topic") or None,
            pair_id=self._name(row, "pair_id") or None,
            group=self._group(row, label),
        )

    def _text(self, row: Row) -> str:
        cell = self._cell(row, "prompt", self.limits.cell_chars)
        if cell == "":
            self._fault("the prompt is empty; write one or delete the row", row, "prompt")
        return cell or ""

    def _label(self, row: Row) -> Label | None:
        cell = (self._cell(row, "label", _NAME_CHARS) or "").lower()
        if cell not in _LABELS:
            self._fault(f"unknown label '{shown(cell)}'; expected harmful or benign", row, "label")
        return _LABELS.get(cell)

    def _group(self, row: Row, label: Label | None) -> Group:
        cell = (self._cell(row, "group", _NAME_CHARS) or "").lower()
        if cell not in _GROUPS:
            self._fault(f"unknown group '{shown(cell)}'; expected regular or jailbreak, or an empty cell", row, "group")
        group = _GROUPS.get(cell, "regular")
        if group == "jailbreak" and label != "harmful":
            found = f"labelled {label}" if label else "without a label"
            self._fault(f"a prompt {found} is in group 'jailbreak'; a jailbreak is labelled harmful", row, "group")
        return group

    def _name(self, row: Row, column: str) -> str:
        return " ".join((self._cell(row, column, min(_NAME_CHARS, self.limits.cell_chars)) or "").split())

    def _cell(self, row: Row, column: str, limit: int) -> str | None:
        """The cell as clean text; None when it was refused and that has been said."""
        value = row.cells.get(column)
        if value is None:
            return ""
        if isinstance(value, int) and not isinstance(value, bool) and column != "prompt":
            value = str(value)
        if not isinstance(value, str):
            self._fault(f"found {kind_of(value)}; expected a text", row, column)
            return None
        if len(value) > limit:
            self._fault(f"the cell has {len(value):,} characters; the limit is {limit:,}", row, column)
            return None
        if forbidden := forbidden_character(value):
            self._fault(f"the cell holds the character {forbidden}, which is not text; delete it", row, column)
            return None
        return without_artefacts(value)

    def _fault(self, message: str, row: Row, column: str) -> None:
        self.log.add(message, row=row.number, column=self.table.origin.get(column, column))


def check_ids(numbered: Iterable[NumberedPrompt], log: FaultLog, column: str) -> None:
    """Every id that the file gives is given once; `column` is the file's name of its column."""
    first: dict[str, int] = {}
    for number, prompt in ((one.row, one.prompt) for one in numbered):
        if prompt.id and first.setdefault(prompt.id, number) != number:
            message = f"the id '{shown(prompt.id)}' is already used in row {first[prompt.id]}; ids must be unique"
            log.add(message, row=number, column=column)


def check_pairs(numbered: Iterable[NumberedPrompt], log: FaultLog) -> None:
    """At most one prompt of each side; jailbreaks may stand beside the pair that they wrap, any number of them."""
    first: dict[tuple[str, Label], int] = {}
    for number, prompt in ((one.row, one.prompt) for one in numbered):
        if prompt.pair_id is None or prompt.side is None:
            continue
        earlier = first.setdefault((prompt.pair_id, prompt.side), number)
        if earlier != number:
            pair = f"pair '{shown(prompt.pair_id)}' has a second {prompt.side} prompt (the first is in row {earlier})"
            log.add(f"{pair}; a pair is one harmful and one benign prompt", row=number, column="pair_id")


def with_ids(prompts: Sequence[Prompt]) -> Iterator[Prompt]:
    """Gives each prompt without an id one from its place, and keeps clear of the ids that the file gave."""
    taken = {prompt.id for prompt in prompts}
    for place, prompt in enumerate(prompts, 1):
        made = f"p{place:04d}"
        while not prompt.id and made in taken:
            made += "x"
        yield prompt if prompt.id else replace(prompt, id=made)
        taken.add(prompt.id or made)
