"""Rows of a report as columns and blocks, and back."""

import json

import numpy as np
import pytest

from backend.services.expert_table import BLOCK, ExpertRows, ExpertTable, ranks
from tests.backend.factories import make_result


def many(count: int) -> list[dict]:
    """So many rows that there are several blocks."""
    row = make_result().report["experts"][0]
    return [{**row, "layer": i // 50, "expert": i % 50, "rank": i + 1, "flagged": i == 3} for i in range(count)]


def test_rows_come_back_as_they_were_written() -> None:
    rows = many(3 * BLOCK + 7)
    table = ExpertTable.from_bytes(ExpertTable.of(rows).to_bytes())
    assert json.dumps(table.rows()) == json.dumps(rows)
    assert table.rows(BLOCK - 2, BLOCK + 3) == rows[BLOCK - 2 : BLOCK + 3]
    assert table.rows(3 * BLOCK, 10_000) == rows[3 * BLOCK :]
    assert table.row(2 * BLOCK) == rows[2 * BLOCK]
    assert table.rows(5, 5) == []
    assert json.loads(b"[" + b"".join(table.json()) + b"]") == rows


def test_the_flagged_rows_and_each_place_are_found() -> None:
    table = ExpertTable.of(many(2 * BLOCK))
    assert [row["rank"] for row in table.flagged()] == [4]
    assert table.index(1, 49) == 99
    assert table.index(1, 50) is None
    assert table.names[99] == "L1·E49"


def test_columns_hold_the_rows_numbers_and_nan_where_there_are_none() -> None:
    rows = make_result().report["experts"]
    rows[1] |= {"effect": None, "null": None, "q_value": None}
    columns = ExpertTable.of(rows).columns
    assert columns["effect"].tolist()[0] == rows[0]["effect"]["estimate"]
    assert np.isnan([columns[name][1] for name in ("effect", "effect_low", "null_sd", "q_value")]).all()
    assert np.isnan(columns["score_safex"]).all()
    assert set(columns["rank_safex"].tolist()) == {0}
    assert columns["rungs"].tolist()[:3] == [0b111111, 0b111111, 0]
    assert columns["eta_topic"].tolist() == [row["details"]["eta_topic"] for row in rows]


def test_ranks_put_the_highest_first_and_leave_out_what_has_no_score() -> None:
    assert ranks(np.array([0.5, np.nan, 2.0, 0.5, -1.0])).tolist() == [2, 0, 1, 3, 4]


def test_the_range_of_effects_covers_intervals_and_nulls_of_what_is_drawn() -> None:
    rows = make_result().report["experts"][:3]
    rows[0] |= {"effect": {"estimate": 1.0, "low": 0.5, "high": 2.5, "n": 3}, "null": {"mean": 0.0, "sd": 0.1, "n": 9}}
    rows[1] |= {"effect": {"estimate": 0.2, "low": None, "high": None, "n": 3}, "null": {"mean": -1, "sd": 1, "n": 9}}
    rows[2] |= {"effect": None, "null": {"mean": 50.0, "sd": 1.0, "n": 9}}
    assert ExpertTable.of(rows).effect_range == pytest.approx((-3.0, 2.5))


def test_rows_can_be_read_as_a_list_without_being_one() -> None:
    rows = many(BLOCK + 5)
    read = ExpertRows(ExpertTable.of(rows))
    assert list(read) == rows
    assert (len(read), read[0], read[-1], read[:20], read[BLOCK + 4 :]) == (
        len(rows),
        rows[0],
        rows[-1],
        rows[:20],
        rows[-1:],
    )
    assert (read[5:2], read[4:0:-2], read[-3:]) == ([], rows[4:0:-2], rows[-3:])
    with pytest.raises(IndexError):
        read[len(rows)]


def test_a_report_without_experts_is_an_empty_table() -> None:
    table = ExpertTable.from_bytes(ExpertTable.of([]).to_bytes())
    assert (len(table), table.rows(), table.flagged(), b"".join(table.json())) == (0, [], [], b"")
