"""Files that the browser gets: nothing in them leads to another host, and everything they name is there."""

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest

from app.components.status import GLYPHS
from app.factory import STATIC

# What is another's text keeps it; the tests of the pages that use it see that it asks no other host.
THEIRS = {"vendor", "swagger-ui"}
OURS = [p for p in STATIC.rglob("*") if p.is_file() and not THEIRS & {*p.parts}]
CODE = [p for p in OURS if p.suffix in (".css", ".js")]


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.name)
def test_no_style_sheet_or_script_names_another_host(path: Path) -> None:
    assert re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [p for p in CODE if p.suffix == ".css"], ids=lambda path: path.name)
def test_every_file_that_a_style_sheet_names_exists(path: Path) -> None:
    for name in re.findall(r'url\("([^"]+)"\)', path.read_text(encoding="utf-8")):
        assert (path.parent / name).resolve().is_file(), name


def test_every_icon_that_a_page_uses_exists() -> None:
    sources = "\n".join(p.read_text(encoding="utf-8") for p in (STATIC.parent / "app").rglob("*.py"))
    named = set(re.findall(r'icon\("([a-z]+)"\)', sources)) | set(GLYPHS.values())
    sheet = (STATIC / "css" / "20-base.css").read_text(encoding="utf-8")
    assert {"plus", "check", "download"} <= named
    for name in named:
        assert (STATIC / "icons" / f"{name}.svg").is_file(), name
        assert f".icon-{name} " in sheet, name


def test_the_fonts_carry_their_licence() -> None:
    fonts = STATIC / "fonts"
    assert sorted(p.suffix for p in fonts.iterdir()) == [".md", ".txt", ".woff2", ".woff2", ".woff2"]
    assert "SIL Open Font License, Version 1.1" in (fonts / "LICENSE-Inter-OFL.txt").read_text(encoding="utf-8")


VENDOR = STATIC / "vendor"


def test_plotly_is_the_version_of_the_python_package() -> None:
    ours = re.search(
        r"plotly\.js \(cartesian - minified\) v([0-9.]+)", (VENDOR / "plotly-cartesian.min.js").read_text("utf-8")
    )
    with (files("plotly") / "package_data" / "plotly.min.js").open("rb") as theirs:
        whole = re.search(rb"plotly\.js v([0-9.]+)", theirs.read(200))
    assert ours
    assert whole
    assert ours[1] == whole[1].decode(), (
        "renew it as static/vendor/README.md says, and its version in static/js/charts.js"
    )
    assert f"plotly-cartesian.min.js?v={ours[1]}" in (STATIC / "js" / "charts.js").read_text("utf-8")


def test_the_scripts_of_others_are_unmodified_and_carry_their_licences() -> None:
    scripts = [p for p in VENDOR.iterdir() if p.suffix == ".js"]
    told = (VENDOR / "README.md").read_text("utf-8")
    assert len(scripts) == 2
    for script in scripts:
        assert f"{hashlib.sha256(script.read_bytes()).hexdigest()}  {script.name}" in told
    for licence in VENDOR.glob("LICENSE-*"):
        assert "MIT" in licence.read_text("utf-8")
        assert licence.name in told
