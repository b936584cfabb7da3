"""Backups of a whole data folder: made while server and worker go on writing, verified before anything is restored."""

from backend.services.backups.make import make_backup
from backend.services.backups.manifest import Manifest
from backend.services.backups.restore import restore_backup

__all__ = ["Manifest", "make_backup", "restore_backup"]
