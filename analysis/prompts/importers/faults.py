"""Collects what is wrong with a file, so that a person mends it in one go rather than one error at a time."""

from analysis.errors import Fault, PromptFileError

MAX_FAULTS = 50


class FaultLog:
    """The faults found so far; raises them by itself once there are `MAX_FAULTS`."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self._faults: list[Fault] = []

    def add(self, message: str, *, row: int | None = None, column: str | None = None) -> None:
        self._faults.append(Fault(message, row, column))
        if len(self._faults) >= MAX_FAULTS:
            self.close()

    def close(self) -> None:
        """Raises `PromptFileError` with every fault, when there is one."""
        if not self._faults:
            return
        self._faults.sort(key=lambda fault: fault.row or 0)
        others = len(self._faults) - 1
        full = "at least " if len(self._faults) >= MAX_FAULTS else ""
        more = f" (and {full}{others} more fault{'s' if others > 1 else ''})" if others else ""
        raise PromptFileError(f"{self.filename}: {self._faults[0]}{more}", faults=self._faults)


def refusal(filename: str, message: str) -> PromptFileError:
    """The error for a file that is wrong as a whole, so that no row can be named."""
    return PromptFileError(f"{filename}: {message}", faults=[Fault(message)])
