"""A number and how surely it is known."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval and the number of independent units behind it.

    `low` and `high` are None when the data cannot carry an interval (fewer than two clusters, say);
    `estimate` is None when not even the point can be given.
    """

    estimate: float | None
    low: float | None
    high: float | None
    n: int

    def as_dict(self) -> dict[str, float | int | None]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high, "n": self.n}
