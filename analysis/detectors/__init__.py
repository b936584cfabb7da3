"""Detectors: is a prompt harmful, told from its routing alone? Each one file; this registry is the list of them.

Read-only: they say what routing gives away, never what it causes. Each is judged on topics that it was not trained on,
beside what prompt length, the words, the layers' inputs and random experts give away.
"""

from analysis.detectors import nearest as _nearest
from analysis.detectors import router_logits as _router_logits
from analysis.detectors import routescan as _routescan
from analysis.detectors.base import Detector, DetectorInfo

DETECTORS: dict[str, Detector] = {
    one.info.name: one for one in (_routescan.DETECTOR, _router_logits.DETECTOR, _nearest.DETECTOR)
}

__all__ = ["DETECTORS", "Detector", "DetectorInfo"]
