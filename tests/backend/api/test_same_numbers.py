"""One number, wherever it is read: routing table, heatmap API, heatmap CSV, experts CSV and report."""

import csv
import io
import itertools

import numpy as np
import pytest
from starlette.testclient import TestClient

from backend.services import PromptSetInfo, RunInfo, Services
from tests.backend.factories import EXPERTS, LAYERS, make_result

QUANTITIES = ("frequency", "probability", "lift", "difference")
WINDOWS = ("prompt", "boundary")
GROUPS = ("all", "topic:banking", "topic:travel")


@pytest.mark.parametrize("quantity", QUANTITIES)
def test_heatmap_api_and_csv_are_the_routing_tables_cells(
    client: TestClient, services: Services, done: RunInfo, prompt_set: PromptSetInfo, quantity: str
) -> None:
    table = make_result(services.prompt_sets.load(prompt_set.id)).routing
    for group, window in itertools.product(GROUPS, WINDOWS):
        cells = table.cells(quantity, group, window)
        query = {"quantity": quantity, "group": group, "window": window}
        api = client.get(f"/api/v1/runs/{done.id}/heatmap", params=query).json()
        text = client.get(f"/api/v1/runs/{done.id}/heatmap.csv", params=query).text
        rows = {(int(r["layer"]), int(r["expert"])): r[quantity] for r in csv.DictReader(io.StringIO(text))}
        assert len(rows) == len(LAYERS) * EXPERTS
        for (place, expert), cell in np.ndenumerate(cells):
            assert api["values"][place][expert] == float(cell)
            assert float(rows[LAYERS[place], expert]) == float(cell)


def test_the_experts_csv_and_the_report_hold_the_same_cells(client: TestClient, done: RunInfo) -> None:
    report = client.get(f"/api/v1/runs/{done.id}/report.json").json()
    rows = list(csv.DictReader(io.StringIO(client.get(f"/api/v1/runs/{done.id}/experts.csv").text)))
    heatmaps = {q: client.get(f"/api/v1/runs/{done.id}/heatmap", params={"quantity": q}).json() for q in QUANTITIES}
    for row, expert in zip(rows, report["experts"], strict=True):
        place = LAYERS.index(expert["layer"])
        for column, quantity, value in (
            ("frequency_all", "frequency", expert["frequency"]["all"]),
            ("probability_all", "probability", expert["probability"]["all"]),
            ("lift", "lift", expert["lift"]),
            ("difference", "difference", expert["difference"]),
        ):
            assert float(row[column]) == value == heatmaps[quantity]["values"][place][expert["expert"]]
