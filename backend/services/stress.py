"""Who may tune under stress, and the permit that the worker needs for each such run.

The limits themselves are the library's (`analysis.tuning.stress`); this is where its policy, the role and the
audit log come from.
"""

from typing import TYPE_CHECKING

from analysis.errors import ForbiddenError
from backend.access import require
from backend.services.audit_log import AuditLog
from backend.services.records import RunInfo
from backend.settings import Settings

if TYPE_CHECKING:
    from analysis.tuning.stress import StressPermit


def asker(settings: Settings) -> dict[str, str]:
    """Actor and role of whoever asks for a stress run now.

    Raises ForbiddenError where the installation does not allow it, or the role does not.
    """
    if not settings.allow_stress_tuning:
        raise ForbiddenError(
            "stress tuning is off: whoever runs this installation can allow it with "
            "EXPERTSCOPE_ALLOW_STRESS_TUNING=true; direction 'harden' needs no permission",
            field="direction",
        )
    principal = require("tuning.stress")
    return {"actor": principal.name, "role": principal.role.value}


class Permits:
    """Gives the worker one permit for each attempt at a stress run. Every attempt is recorded before it tunes."""

    def __init__(self, settings: Settings, audit_log: AuditLog) -> None:
        self._settings = settings
        self._audit_log = audit_log

    def stress(self, run: RunInfo) -> "StressPermit":
        """Raises ForbiddenError where the setting was taken back since the run was queued."""
        from analysis.tuning.stress import StressPolicy, request_stress

        return request_stress(
            StressPolicy(allowed=self._settings.allow_stress_tuning),
            actor=run.parameters["actor"],
            role=run.parameters["role"],
            record=self._audit_log.record,
        )
