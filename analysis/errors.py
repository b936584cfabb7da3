"""Every error that ExpertScope raises on purpose.

Callers catch `ExpertScopeError`; the command line prints its message on one line, the API turns it into its
JSON envelope, and a page shows it beside the field that caused it.

    ExpertScopeError
    ├── InputError                 what the user gave cannot be used
    │   ├── PromptFileError        a prompt file, with the rows and columns at fault
    │   └── TooLargeError          more than the limit allows
    ├── NotFoundError              a name or id that leads nowhere
    ├── ConflictError              the thing is not in a state that allows this
    ├── QuotaError                 more than one person may have at a time
    ├── UnauthorizedError          somebody who has not shown who they are
    ├── ForbiddenError             what nobody here has been allowed to do
    ├── TooManyRequestsError       more than a client may ask for at once
    ├── NotReadyError              a part of the installation that does not answer
    ├── NotInstalledError          a part of the system that this needs and that is missing
    ├── DamagedError               something stored that is not what was written
    ├── ModelError                 a model that cannot be inspected
    │   ├── NotMixtureOfExpertsError
    │   ├── UnsupportedArchitectureError
    │   └── UnsafeWeightsError     pickled weights or code from a hub
    ├── JudgeError                 a judge that cannot be used or gives no answers
    │   └── JudgeSilentError       a judge's server that did not answer this time
    ├── CaptureError               the trace does not agree with what the model did
    ├── TuningError                a descent that could not be carried to its end
    └── WithheldError              a quantity that the data cannot support
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Fault:
    """One place in the input and what is wrong with it.

    `row` counts as a spreadsheet does: the header of a CSV is row 1, its first data row is row 2.
    """

    message: str
    row: int | None = None
    column: str | None = None

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        place = [f"row {self.row}"] if self.row is not None else []
        place += [f"column '{self.column}'"] if self.column is not None else []
        return f"{', '.join(place)}: {self.message}" if place else self.message


class ExpertScopeError(Exception):
    """The root. `message` says what was found, where, what was expected and what to do, on one line."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, message: str, *, field: str | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.faults = tuple(faults)

    @property
    def details(self) -> list[dict[str, object]]:
        """The places at fault as plain dictionaries, for the JSON envelope."""
        return [fault.as_dict() for fault in self.faults]


class InputError(ExpertScopeError):
    code, status = "invalid_input", 422


class PromptFileError(InputError):
    code = "invalid_prompt_file"


class TooLargeError(InputError):
    code, status = "too_large", 413


class NotFoundError(ExpertScopeError):
    code, status = "not_found", 404


class ConflictError(ExpertScopeError):
    code, status = "conflict", 409


class QuotaError(ExpertScopeError):
    code, status = "quota_exceeded", 429


class UnauthorizedError(ExpertScopeError):
    code, status = "unauthorized", 401


class ForbiddenError(ExpertScopeError):
    code, status = "forbidden", 403


class TooManyRequestsError(ExpertScopeError):
    """`retry_after` is in seconds."""

    code, status = "too_many_requests", 429

    def __init__(
        self, message: str, *, retry_after: int = 60, field: str | None = None, faults: Sequence[Fault] = ()
    ) -> None:
        super().__init__(message, field=field, faults=faults)
        self.retry_after = retry_after


class NotReadyError(ExpertScopeError):
    code, status = "not_ready", 503


class NotInstalledError(ExpertScopeError):
    code, status = "not_installed", 501


class DamagedError(ExpertScopeError):
    code = "damaged"


class ModelError(ExpertScopeError):
    code, status = "invalid_model", 422


class NotMixtureOfExpertsError(ModelError):
    code = "not_mixture_of_experts"


class UnsupportedArchitectureError(ModelError):
    code = "unsupported_architecture"


class UnsafeWeightsError(ModelError):
    code = "unsafe_weights"


class JudgeError(ExpertScopeError):
    code, status = "judge_failed", 502


class JudgeSilentError(JudgeError):
    code = "judge_silent"


class CaptureError(ExpertScopeError):
    code = "capture_failed"


class TuningError(ExpertScopeError):
    code = "tuning_failed"


class WithheldError(ExpertScopeError):
    code, status = "withheld", 422
