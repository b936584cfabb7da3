"""What stands between the network and the application: origin, host and size checks, and security headers."""

from backend.security.body_limit import BodyLimit
from backend.security.guard import Guard

__all__ = ["BodyLimit", "Guard"]
