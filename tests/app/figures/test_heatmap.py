"""The heatmap shows the numbers it is given, as float32, and its colours mean what the page says they mean."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest

from app.figures import heatmap
from app.figures.heatmap import scale_of
from app.figures.template import BENIGN, FLAGGED, HARMFUL

VALUES = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, np.nan]], dtype=np.float32)


def draw(values: np.ndarray = VALUES, quantity: str = "frequency", flagged: tuple = ()) -> go.Figure:
    layers = [3 * row for row in range(len(values))]
    return heatmap(values, layers, list(range(values.shape[1])), quantity=quantity, label=quantity, flagged=flagged)


def test_the_numbers_stay_float32() -> None:
    z = draw().data[0].z
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z, VALUES)


def test_the_numbers_travel_as_bytes_and_not_as_lists() -> None:
    sent = json.loads(draw().to_json())["data"][0]["z"]
    assert sent["dtype"] == "f4"
    assert sent["shape"] == "2, 3"


def test_layers_go_down_under_their_index_in_the_model() -> None:
    chart = draw()
    assert list(chart.data[0].y) == ["0", "3"]
    low, high = chart.layout.yaxis.range
    assert low > high


def test_an_amount_starts_at_zero() -> None:
    scale = scale_of("frequency", VALUES)
    assert (scale.low, scale.high) == (0.0, pytest.approx(0.5))


def test_a_difference_is_symmetric_around_a_white_zero() -> None:
    scale = scale_of("difference", np.array([[-0.1, 0.3]], dtype=np.float32))
    assert (scale.low, scale.high) == (pytest.approx(-0.3), pytest.approx(0.3))
    assert dict(scale.colours) == {0.0: BENIGN, 0.25: "#8DBBDB", 0.5: "#FFFFFF", 0.75: "#EDB48A", 1.0: HARMFUL}


def test_a_lift_of_one_is_white_wherever_the_scale_ends() -> None:
    scale = scale_of("lift", np.array([[0.2, 4.0]], dtype=np.float32))
    assert (scale.low, scale.high) == (0.0, pytest.approx(4.0))
    white = next(at for at, colour in scale.colours if colour == "#FFFFFF")
    assert scale.low + white * (scale.high - scale.low) == pytest.approx(1.0)


@pytest.mark.parametrize("quantity", ["frequency", "probability", "lift", "difference"])
@pytest.mark.parametrize("values", [np.full((2, 3), np.nan), np.zeros((2, 3))], ids=["unseen", "zero"])
def test_a_scale_has_two_ends_even_without_a_range(quantity: str, values: np.ndarray) -> None:
    scale = scale_of(quantity, values.astype(np.float32))
    assert scale.low < scale.high


def test_flagged_cells_are_outlined_where_they_are() -> None:
    *_, shape = draw(flagged=((3, 1),)).layout.shapes
    assert (shape.x0, shape.x1, shape.y0, shape.y1) == (0.5, 1.5, 0.5, 1.5)
    assert shape.line.color == FLAGGED


def test_the_ring_around_a_tiny_cell_is_larger_than_the_cell() -> None:
    *_, shape = draw(np.zeros((94, 512), dtype=np.float32), flagged=((0, 100),)).layout.shapes
    assert shape.x1 - shape.x0 > 2
    assert (shape.x0 + shape.x1) / 2 == 100


def test_a_large_model_fits_on_a_screen() -> None:
    chart = draw(np.zeros((94, 512), dtype=np.float32))
    assert chart.layout.height <= 1400
    assert chart.layout.xaxis.dtick == 32
    assert list(chart.layout.yaxis.tickvals)[:2] == ["0", "24"]
