import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from osteon.core.errors import Conflict
from osteon.core.geometry import Grid
from osteon.core.labels import Label, LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.page import (
    format_count,
    format_mm,
    format_percent,
    format_score,
    format_signed_count,
    format_signed_percent,
)
from osteon.evaluation.pictures import Picture
from osteon.evaluation.report import MAX_NAMED, MAX_PICTURED_CASES, check_free, picture_key, render_html, write_report
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import Report, RunFacts, summarise

GRID = Grid((4, 6, 6))


def scored(table: LabelTable, case_id: str, shift: int = 0) -> CaseScores:
    reference = np.zeros(GRID.shape, dtype=np.uint8)
    reference[1:3, 1:3, 1:4] = 7
    return compare_labels(np.roll(reference, shift, axis=2), reference, GRID, table, case_id=case_id)


def picture(png: bytes = b"\x89PNG") -> Picture:
    return Picture("axial", 1, 4, png, (Label(7, "hip_left"),))


@pytest.fixture
def report(table: LabelTable) -> Report:
    swapped = np.zeros(GRID.shape, dtype=np.uint8)
    swapped[1:3, 1:3, 1:4] = 7
    facts = RunFacts(
        model="model",
        model_digest="ab" * 32,
        recipe="tiny",
        dataset="<b>ward & lab</b>",
        dataset_url="s3://archive/ward",
        split="all",
        seen_in_training=("a",),
        unreadable={},
        backend="torch",
        started="2026-01-02T03:04:05Z",
        seconds={"a": 1.25, "b": 2.0},
        unscored_model_bones=("skull",),
        unscored_dataset_bones=(),
        versions={"osteon": "0.1.0"},
        machine="test machine",
    )
    mirrored = compare_labels(np.where(swapped, 8, 0), swapped, GRID, table, case_id="b")
    return summarise([scored(table, "a"), mirrored], facts)


class Page(HTMLParser):
    """Collects the tags and the visible text of a page, and checks that every tag is closed."""

    VOID = frozenset({"meta", "img", "line", "rect", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_json_and_page_are_written_and_the_json_reads_back(report: Report, tmp_path: Path) -> None:
    write_report(report, {"a": (picture(),)}, str(tmp_path / "out"))

    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["pictures", "report.html", "report.json"]
    assert (tmp_path / "out" / picture_key("a", "axial")).read_bytes() == picture().png
    assert Report.model_validate_json((tmp_path / "out" / "report.json").read_text()) == report


def test_a_report_is_never_overwritten(report: Report, tmp_path: Path) -> None:
    check_free(str(tmp_path))
    write_report(report, {}, str(tmp_path))

    with pytest.raises(Conflict, match="report-exists"):
        check_free(str(tmp_path))
    with pytest.raises(Conflict, match="report-exists"):
        write_report(report, {}, str(tmp_path))


def test_the_page_is_well_formed_and_asks_nobody_for_anything(report: Report) -> None:
    html = render_html(report, {"a": (picture(),)})
    page = Page(html)

    assert page.open == []
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in page.tags}
    sources = [attributes["src"] or "" for _, attributes in page.tags if "src" in attributes]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"https?://|url\(|@import", html)


def test_pictures_and_chart_can_be_read_aloud(report: Report) -> None:
    page = Page(render_html(report, {"a": (picture(),)}))

    (image,) = (attributes for tag, attributes in page.tags if tag == "img")
    assert image["alt"] == ("Axial slice 2 of 4 of case a: prediction filled, reference outlined. Bones: hip left.")
    assert "hip left 0.500" in page.text


def test_the_page_shows_what_went_wrong_first(report: Report) -> None:
    text = Page(render_html(report, {})).text

    assert "The model learnt from 1 of the 2 cases in training" in text
    assert "b: missed hip left; false positive hip right" in text
    assert "hip left: 50.0\u202f% of it was called a bone of the other side" in text
    assert "Not scored: not labelled in the datasetskull" in text.replace("\n", "")


def test_the_box_at_the_top_stays_short(table: LabelTable) -> None:
    missed = np.zeros(GRID.shape, dtype=np.uint8)
    missed[1:3, 1:3, 1:4] = 7
    scores = [
        compare_labels(np.zeros_like(missed), missed, GRID, table, case_id=f"case-{k}") for k in range(MAX_NAMED + 3)
    ]

    text = Page(render_html(summarise(scores), {})).text

    assert text.count(": missed hip left") == MAX_NAMED
    assert "3 more cases with missed or false positive bones" in text


def test_names_from_outside_cannot_become_markup(report: Report) -> None:
    html = render_html(report, {})

    assert "<b>ward" not in html
    assert "&lt;b&gt;ward &amp; lab" in html


def test_label_arrays_compared_without_a_run_make_a_page_too(table: LabelTable) -> None:
    text = Page(render_html(summarise([scored(table, "a", shift=1)]), {})).text

    assert "Comparison of bone labels" in text
    assert "Facts of the run" not in text
    assert "Look at these first" not in text


def test_too_many_pictures_leave_the_worst_cases(table: LabelTable) -> None:
    names = [f"case-{number}" for number in range(MAX_PICTURED_CASES + 2)]
    scores = [scored(table, name, shift=0 if name in names[:2] else 1) for name in names]

    page = Page(render_html(summarise(scores), {name: (picture(),) for name in names}))

    shown = [attributes["alt"] for tag, attributes in page.tags if tag == "img"]
    assert len(shown) == MAX_PICTURED_CASES
    assert not any("case case-0:" in (alt or "") or "case case-1:" in (alt or "") for alt in shown)
    assert f"Of {len(names)} cases the {MAX_PICTURED_CASES} with the lowest mean Dice are shown" in page.text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.000"), (0.9344, "0.934"), (0.99995, "0.999"), (1.0, "1.000")]
)
def test_scores_have_three_decimals_and_are_never_rounded_up_to_one(value: float | None, text: str) -> None:
    assert format_score(value) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0.00"), (3.456, "3.46"), (123.45, "123.5")])
def test_millimetres(value: float | None, text: str) -> None:
    assert format_mm(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 %"), (0.0004, "< 0.1 %"), (0.105, "10.5 %"), (0.9999, "> 99.9 %"), (1.0, "100 %")],
)
def test_shares(value: float | None, text: str) -> None:
    assert format_percent(value).replace("\u202f", " ") == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0321, "+3.2 %"), (-1.0, "−100.0 %"), (0.0001, "0.0 %")])
def test_signed_shares(value: float | None, text: str) -> None:
    assert format_signed_percent(value).replace("\u202f", " ") == text


def test_counts_are_grouped_and_signed() -> None:
    assert format_count(1234567.4) == "1\u202f234\u202f567"
    assert format_signed_count(-14175.0) == "−14\u202f175"
    assert format_signed_count(0.2) == "0"
    assert format_signed_count(None) == "–"
