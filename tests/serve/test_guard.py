"""The guard's settings, as the documents show them."""

import re
from pathlib import Path

import yaml

from osteon.serve.archives import ArchiveSettings
from osteon.serve.guard import GuardSettings
from osteon.serve.limits import LimitSettings
from osteon.serve.sources import SourceSettings

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "serve-safely.md"


def test_the_page_shows_settings_that_are_taken_and_their_defaults() -> None:
    shown = re.search(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.S)
    assert shown is not None
    settings = yaml.safe_load(shown[1])
    guard, sources = GuardSettings.model_validate(settings["guard"]), SourceSettings.model_validate(settings["sources"])
    assert guard.limits == LimitSettings()
    assert ArchiveSettings.model_validate(settings["archives"]) == ArchiveSettings()
    assert sources.fetch_s == SourceSettings().fetch_s
    assert guard.auth.keys is not None
    assert guard.auth.tokens is not None
    assert set(settings["guard"]) == set(GuardSettings.model_fields)
    assert set(settings["sources"]) == set(SourceSettings.model_fields)
