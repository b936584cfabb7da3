"""`make audit-dependencies`: asks OSV, by pip-audit, which pinned versions have a known vulnerability.

Exit status: 0 none is known, 1 some are, 3 the database could not be asked, so that nothing is known.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

CLEAN, FOUND, UNKNOWN = 0, 1, 3
OSV = "https://api.osv.dev/v1/query"
ACCEPTED: dict[str, str] = {}
"""Findings that do not concern ExpertScope, by id, with the reason; SECURITY.md has the same ids."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make audit-dependencies", description=__doc__)
    parser.add_argument("constraints", nargs="?", type=Path, default=Path("constraints.txt"))
    parser.add_argument("--osv-url", default=OSV, help="The query address of OSV, or of a mirror of it.")
    given = parser.parse_args(arguments)
    try:
        document = ask(given.constraints, given.osv_url)
    except NotAskedError as error:
        print(f"error: the database of vulnerabilities at {given.osv_url} could not be asked: {error}", file=sys.stderr)
        print("nothing is known about the dependencies: try again where it can be reached", file=sys.stderr)
        return UNKNOWN
    status, lines = judge(document)
    print("\n".join(lines))
    return status


class NotAskedError(Exception):
    """Why there is no answer, in one line."""


def ask(constraints: Path, osv_url: str) -> dict[str, Any]:
    """pip-audit's JSON document. Nothing is installed and no package is downloaded."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(constraints), "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--osv-url", osv_url, "--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        document: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        lines = done.stderr.strip().splitlines() or ["pip-audit said nothing"]
        raise NotAskedError(lines[-1]) from None
    return document


def judge(document: dict[str, Any]) -> tuple[int, list[str]]:
    """Status and lines for one of pip-audit's documents. What could not be looked up counts as not asked."""
    packages = document["dependencies"]
    found, accepted, skipped = [], [], []
    for package in packages:
        if "skip_reason" in package:
            skipped.append(f"not looked up: {package['name']} ({package['skip_reason']})")
        for finding in package.get("vulns", []):
            ids = [finding["id"], *finding.get("aliases", [])]
            known = next((name for name in ids if name in ACCEPTED), None)
            fixed = ", ".join(finding["fix_versions"]) or "no version"
            line = f"{package['name']} {package['version']}: {', '.join(ids)}, fixed in {fixed}"
            (accepted if known else found).append(f"{line} (accepted: {ACCEPTED[known]})" if known else line)
    total = f"{len(packages)} packages, {len(found)} known vulnerabilities, {len(accepted)} accepted"
    status = FOUND if found else UNKNOWN if skipped else CLEAN
    return status, [*found, *accepted, *skipped, total]


if __name__ == "__main__":
    sys.exit(main())
