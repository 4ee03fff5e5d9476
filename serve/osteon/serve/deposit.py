"""Gives the bones of a DICOMweb series to the archive it came from, as a DICOM SEG, where the operator allows it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from osteon.core.errors import BadInput
from osteon.serve.dicomweb import is_series
from osteon.serve.fetch import judged_place
from osteon.serve.formats import Result, write_result
from osteon.serve.sources import SourceSettings, is_allowed
from osteon.serve.stow import store_instance


def check_deposit(source: str, settings: SourceSettings) -> None:
    """Refuse what no archive can be given, or must not.

    Raises:
        BadInput: ``deposit-series``, ``deposit-not-allowed``.
    """
    if not is_series(source):
        remedy = "give the URL of a DICOMweb series: https://…/studies/UID/series/UID"
        raise BadInput("deposit-series", "only the bones of a DICOMweb series go back to an archive", remedy=remedy)
    if not is_allowed(source, settings.deposit):
        what = f"this server gives nothing to {urlsplit(source).hostname}"
        remedy = "take the result as format=dicomseg, or ask the operator for a prefix in sources.deposit"
        raise BadInput("deposit-not-allowed", what, remedy=remedy)


def deposit(result: Result, source: str, settings: SourceSettings, scratch: Path) -> None:
    """Store the SEG of a result in the study of the series ``source``; once more changes nothing there.

    Raises:
        BadInput: ``archive-refused``; what `check_deposit`, `judged_place` and `write_result` refuse.
        StoreError: ``archive-unreachable``.
    """
    check_deposit(source, settings)
    file = write_result(result, "dicomseg", scratch)
    study = study_of(source)
    store_instance(file.path, study, judged_place(study, settings))


def study_of(series: str) -> str:
    """The URL of the study that a series' URL names; an archive takes objects of that study only there."""
    parts = urlsplit(series)
    return urlunsplit(("https", parts.netloc, parts.path.rpartition("/series/")[0], "", ""))
