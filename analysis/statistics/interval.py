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

    def __str__(self) -> str:
        if self.estimate is None:
            return f"withheld (n = {self.n})"
        bounds = "" if self.low is None or self.high is None else f" [{self.low:.3g}, {self.high:.3g}]"
        return f"{self.estimate:.3g}{bounds} (n = {self.n})"

    def as_dict(self) -> dict[str, float | int | None]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high, "n": self.n}
