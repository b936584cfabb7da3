"""Views of finished runs, kept as they were sent. A result never changes, and making its charts anew for everyone who
looks costs more than all else that a page does."""

import json
import threading
from collections import OrderedDict
from dataclasses import replace

from plotly.io.json import to_json_plotly

from app.router import Router, View
from backend.services import ExpertScopeError, Services, current

MOST_BYTES = 16_000_000
"""As JSON; as Python's objects they take several times as much."""
Key = tuple[str, str, str, str]


class KeptViews:
    """Asks the router, and remembers what it shows of finished runs, the latest `most_bytes` of it.

    A key holds all that such a view is made of beside the result: the address, the role that decides on buttons, the
    run's row and the runs that were made from it. Whatever else pages of a run should come to read belongs into it.
    Of several who ask for the same view at once, one makes it and the others wait for it.
    """

    def __init__(self, router: Router, services: Services, most_bytes: int = MOST_BYTES) -> None:
        self._router, self._services, self._most = router, services, most_bytes
        self._kept: OrderedDict[Key, tuple[View, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._making: dict[Key, threading.Lock] = {}

    def show(self, pathname: str, search: str) -> View:
        """As `Router.show`; the body of a view that was kept is plain JSON, as the browser gets it."""
        key = self._key(pathname, search)
        if key is None:
            return self._router.show(self._services, pathname, search)
        if (found := self._find(key)) is not None:
            return found
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                return self._find(key) or self._make(key)
        finally:
            with self._lock:
                self._making.pop(key, None)

    def _key(self, pathname: str, search: str) -> Key | None:
        """None for what is no view of a finished run."""
        found = self._router.match(pathname)
        run_id = found[1].get("run_id") if found else None
        if run_id is None:
            return None
        try:
            run, made = self._services.runs.get(run_id), self._services.runs.made_from(run_id)
        except ExpertScopeError:
            return None
        return (pathname, search, current().role.value, repr((run, made))) if run.status == "done" else None

    def _find(self, key: Key) -> View | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _make(self, key: Key) -> View:
        view = self._router.show(self._services, key[0], key[1])
        if not view.lasting:
            return view
        text = to_json_plotly(view.body)
        view = replace(view, body=json.loads(text))
        with self._lock:
            self._kept[key] = view, len(text)
            self._bytes += len(text)
            while self._bytes > self._most:
                _, (_, size) = self._kept.popitem(last=False)
                self._bytes -= size
        return view
