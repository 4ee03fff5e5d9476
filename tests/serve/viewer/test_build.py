"""The committed page is the one that `make viewer` builds of the committed source, and asks for nothing elsewhere."""

import hashlib
import json
import re
from pathlib import Path

VIEWER = Path(__file__).parents[3] / "serve/viewer"
BUILT = VIEWER.parent / "osteon/serve/static"
REMEDY = "run make viewer, and commit serve/osteon/serve/static"


def source_digest() -> str:
    """As vite.config.ts makes it."""
    files = [VIEWER / name for name in ("index.html", "package-lock.json", "vite.config.ts")]
    files += [path for folder in ("public", "src") for path in (VIEWER / folder).iterdir()]
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(VIEWER).as_posix() for path in files):
        digest.update(f"{name}\n".encode() + (VIEWER / name).read_bytes() + b"\n")
    return digest.hexdigest()


def test_the_page_is_built_of_this_source() -> None:
    assert json.loads((BUILT / "build.json").read_text())["source_sha256"] == source_digest(), REMEDY


def test_everything_that_the_page_asks_for_is_there_and_nothing_else() -> None:
    page = (BUILT / "index.html").read_text("utf-8")
    asked = {match.removeprefix("/assets/") for match in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)}
    assert asked == {path.name for path in (BUILT / "assets").iterdir()}, REMEDY


def test_the_page_refuses_foreign_addresses_by_itself() -> None:
    page = (BUILT / "index.html").read_text("utf-8")
    assert "default-src 'none'" in page
    assert "connect-src 'self'" in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_licences_of_what_is_bundled_go_along() -> None:
    licences = (BUILT / "licenses.md").read_text("utf-8")
    bundled = json.loads((VIEWER / "package.json").read_text())["dependencies"]
    assert all(f"## {name} - {version} " in licences for name, version in bundled.items())
    assert "Copyright (c) 2021, Niivue" in (BUILT / "niivue-license.txt").read_text("utf-8")
