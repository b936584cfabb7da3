"""The project's own style sheets and scripts as one file each: forty small requests cost a first visit more than all
that is in them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Response

from app import addresses

FIRST = frozenset({"theme.js"})
"""Loaded in the document's head, before anything is painted."""


@dataclass(frozen=True)
class Bundle:
    """Files of one kind in the order of their names. `address` changes with the content, so that browsers may keep it
    for good."""

    path: str
    media_type: str
    content: bytes

    @property
    def address(self) -> str:
        return f"{self.path}?v={hashlib.sha256(self.content).hexdigest()[:16]}"


def bundled(static: Path) -> tuple[Bundle, Bundle]:
    """Styles and scripts of the folder `static`."""
    found = (("css", "text/css"), ("js", "text/javascript"))
    styles, scripts = (_bundle(static / kind, kind, media_type) for kind, media_type in found)
    return styles, scripts


def _bundle(folder: Path, kind: str, media_type: str) -> Bundle:
    files = sorted(file for file in folder.glob(f"*.{kind}") if file.name not in FIRST)
    # Addresses inside a style sheet are seen from its folder, so the bundle lies in the same one.
    return Bundle(
        f"{addresses.PREFIX}/assets/{kind}/all.{kind}", media_type, b"\n".join(file.read_bytes() for file in files)
    )


def serve(server: FastAPI, bundle: Bundle) -> None:
    """Answer the bundle's address. Call it before Dash adds its own route for everything below assets/."""

    async def read() -> Response:
        return Response(
            bundle.content,
            media_type=bundle.media_type,
            headers={"Cache-Control": "public, max-age=31536000, immutable"},
        )

    server.add_api_route(bundle.path, read, include_in_schema=False)
