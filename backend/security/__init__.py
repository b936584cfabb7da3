"""What stands between the network and the application: who asks, origin, host, size and rate, and security headers."""

from backend.security.authenticate import Authenticate, Cookies, Identities
from backend.security.body_limit import BodyLimit
from backend.security.guard import Guard
from backend.security.rate_limit import RateLimit

__all__ = ["Authenticate", "BodyLimit", "Cookies", "Guard", "Identities", "RateLimit"]
