"""The report's pictures as plain data for its SVG templates: no script, no font, no other file.

A heatmap's cells are one PNG pixel each, so that 94 layers of 512 experts weigh some ten kilobytes instead of the
megabytes of as many SVG rectangles; there is no image library among the dependencies, and a PNG needs none.
"""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

# Cividis from light to dark, and blue – white – vermillion (Okabe–Ito): both safe for colour-blind readers.
AMOUNT = ("#fee838", "#e1cc55", "#c3b369", "#a59c74", "#8a8678", "#707173", "#575d6d", "#3b496c", "#123570", "#00224e")
DIFFERENCE = ("#0072b2", "#ffffff", "#d55e00")
SERIES = (("topic", "topic", "#007f5c"), ("safety", "safety", "#b84f00"), ("within_topic", "within topic", "#767676"))
MAX_WIDTH, MAX_CELL, MIN_CELL_HEIGHT = 960, 24.0, 6.0
_LABEL_HEIGHT = 15.0
Cells = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tick:
    """A label and where it stands, in pixels from the picture's corner."""

    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    """The outline of a flagged cell."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class HeatmapPicture:
    """Layers downwards, experts across."""

    title: str
    png: str
    width: float
    height: float
    cell_width: float
    cell_height: float
    rows: list[Tick]
    columns: list[Tick]
    marks: list[Mark]
    scale: str
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One contrast over the layers: its points, and the band of its intervals."""

    name: str
    colour: str
    points: str
    band: str
    label_y: float


@dataclass(frozen=True)
class LinesPicture:
    """Contrasts over layers, all on one scale that starts at 0."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: float
    height: float


def heatmap_picture(
    title: str, values: Cells, layers: Sequence[int], flagged: Sequence[Sequence[int]], *, signed: bool = False
) -> HeatmapPicture:
    """A picture of `values` [layers, experts]. `signed` values get a scale that is symmetric about 0."""
    experts = values.shape[1]
    cell_width = min(MAX_CELL, MAX_WIDTH / experts)
    cell_height = min(MAX_CELL, max(cell_width, MIN_CELL_HEIGHT))
    top = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 0.0
    low, high = (-top, top) if signed else (0.0, top)
    colours = DIFFERENCE if signed else AMOUNT
    return HeatmapPicture(
        title=title,
        png=_data_uri(_png(_rgba(values, colours, low, high))),
        width=cell_width * experts,
        height=cell_height * len(layers),
        cell_width=cell_width,
        cell_height=cell_height,
        rows=[Tick((i + 0.5) * cell_height, str(layers[i])) for i in _labelled(len(layers), cell_height)],
        columns=[Tick((e + 0.5) * cell_width, str(e)) for e in _labelled(experts, cell_width)],
        marks=[
            Mark(expert * cell_width, layers.index(layer) * cell_height, f"layer {layer}, expert {expert}")
            for layer, expert in flagged
        ],
        scale=_data_uri(_png(_rgba(np.linspace(0, 1, 160, dtype=np.float32)[None], colours, 0, 1))),
        low=low,
        high=high,
    )


def topic_picture(
    per_layer: Sequence[Mapping[str, Any]], width: float = 720, height: float = 240
) -> LinesPicture | None:
    """Topic, within-topic and safety divergence by layer; None when no layer has any."""
    known = [row for row in per_layer if any(row[name]["estimate"] is not None for name, _, _ in SERIES)]
    if not known:
        return None
    bounds = [row[name][end] for row in known for name, _, _ in SERIES for end in ("estimate", "high")]
    top = max((bound for bound in bounds if bound is not None), default=0.0) or 1.0
    step = width / max(1, len(known) - 1)

    def y(value: float) -> float:
        return height * (1 - value / top)

    lines = [_line(known, name, label, colour, step, y) for name, label, colour in SERIES]
    ticks = [Tick(i * step, str(known[i]["layer"])) for i in _labelled(len(known), step)]
    levels = [Tick(y(top * part), f"{top * part:.2g}") for part in (0, 0.5, 1)]
    return LinesPicture(_spread([line for line in lines if line.points]), ticks, levels, width, height)


@dataclass(frozen=True)
class Dot:
    """A value with the ends of its interval, in pixels."""

    x: float
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class DosePicture:
    """Losses by number of masked experts: dots with intervals, over the band and the mean of random sets."""

    dots: list[Dot]
    points: str
    band: str
    mean: str
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    zero: float
    random_y: float | None
    width: float
    height: float


def dose_picture(doses: Sequence[Mapping[str, Any]], width: float = 480, height: float = 240) -> DosePicture | None:
    """Loss of refusal margin by number of masked experts, from `interventions.dose`; None without any.

    Sizes double, so they stand at equal distances. The scale holds every interval, every band, and 0.
    """
    if not doses:
        return None
    step = width / max(1, len(doses) - 1)
    ends = [_ends(dose["margin"]) for dose in doses]
    known = [(i * step, dose["null"]) for i, dose in enumerate(doses) if dose["null"]["n"]]
    values = [0.0, *(end for pair in ends for end in pair)]
    values += [null[end] for _, null in known for end in ("low", "high")]
    low, high = min(values), max(values)
    span = (high - low) or 1.0

    def y(value: float) -> float:
        return height * (high - value) / span

    dots = [
        Dot(i * step, y(dose["margin"]["estimate"]), y(pair[0]), y(pair[1]))
        for i, (dose, pair) in enumerate(zip(doses, ends, strict=True))
    ]
    outline = [(x, null["high"]) for x, null in known] + [(x, null["low"]) for x, null in reversed(known)]
    return DosePicture(
        dots=dots,
        points=_points([(dot.x, dot.y) for dot in dots]),
        band=_points([(x, y(value)) for x, value in outline]),
        mean=_points([(x, y(null["mean"])) for x, null in known]),
        x_ticks=[Tick(i * step, str(dose["size"])) for i, dose in enumerate(doses)],
        # an end so close to 0 that its label would lie over that of 0 has none
        y_ticks=[
            Tick(y(value), f"{value:.2g}".replace("-", "−"))
            for value in sorted({low, 0.0, high})
            if value == 0 or abs(y(value) - y(0.0)) >= _LABEL_HEIGHT
        ],
        zero=y(0.0),
        random_y=y(known[-1][1]["mean"]) if known else None,
        width=width,
        height=height,
    )


def _ends(interval: Mapping[str, Any]) -> tuple[float, float]:
    """Its limits, or the estimate where it has none."""
    low, high = (interval["estimate"] if interval[end] is None else interval[end] for end in ("low", "high"))
    return low, high


def _line(rows: Sequence[Mapping[str, Any]], name: str, label: str, colour: str, step: float, y: Any) -> Line:
    """Layers without a value are left out, so the line joins their neighbours."""
    intervals = [(i * step, row[name]) for i, row in enumerate(rows) if row[name]["estimate"] is not None]
    banded = [(x, v["low"], v["high"]) for x, v in intervals if v["low"] is not None and v["high"] is not None]
    outline = [(x, high) for x, _, high in banded] + [(x, low) for x, low, _ in reversed(banded)]
    return Line(
        name=label,
        colour=colour,
        points=_points([(x, y(v["estimate"])) for x, v in intervals]),
        band=_points([(x, y(value)) for x, value in outline]),
        label_y=y(intervals[-1][1]["estimate"]) if intervals else 0.0,
    )


def _spread(lines: list[Line], gap: float = 15.0) -> list[Line]:
    """Move the labels at the lines' ends apart until none covers another."""
    placed: list[Line] = []
    for line in sorted(lines, key=lambda line: line.label_y):
        floor = placed[-1].label_y + gap if placed else -np.inf
        placed.append(Line(line.name, line.colour, line.points, line.band, max(line.label_y, floor)))
    return placed


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _labelled(count: int, step: float) -> range:
    """Which of `count` places get a label: all where there is room, else every eighth or sixty-fourth."""
    return range(0, count, next((every for every in (1, 2, 8, 32, 64) if every * step >= 20), 128))


def _rgba(values: Cells, colours: Sequence[str], low: float, high: float) -> npt.NDArray[np.uint8]:
    """Pixels [layers, experts, 4]; transparent where nothing was observed."""
    stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], dtype=np.float64)
    place = (np.nan_to_num(values).astype(np.float64) - low) / (high - low or 1.0) * (len(stops) - 1)
    channels = [np.interp(place, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    alpha = np.where(np.isnan(values), 0, 255)
    return np.stack([*channels, alpha], axis=-1).round().astype(np.uint8)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """An 8-bit RGBA image, each scan line unfiltered (PNG specification, sections 5 and 11)."""
    height, width, _ = pixels.shape
    lines = np.concatenate([np.zeros((height, 1), dtype=np.uint8), pixels.reshape(height, -1)], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
