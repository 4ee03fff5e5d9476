"""The page of a sweep: one well-formed file that asks nobody for anything, and says what there is and what is not."""

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser

import pytest

from osteon.evaluation.page import format_duration, format_signed_score
from osteon.evaluation.summary import Report
from osteon.evaluation.sweep import SweepReport, TestResult, TrialResult, summarise_sweep
from osteon.evaluation.sweep_page import MAX_NAMED, render_sweep

AXES = ("loss.kind", "sampling.patch_shape")
Trial = Callable[..., TrialResult]
Evaluate = Callable[[Mapping[str, int]], Report]


class Page(HTMLParser):
    """Collects tags, headings and visible text, and checks that every tag is closed."""

    VOID = frozenset({"meta", "line", "path"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag
        self.text += " "

    def handle_data(self, data: str) -> None:
        self.text += data

    def ids(self) -> list[str]:
        return [attributes["id"] or "" for tag, attributes in self.tags if tag == "h2"]


@pytest.fixture
def report(trial: Trial, evaluate: Evaluate) -> SweepReport:
    """Two losses by two patches on three folds; one trial failed, one was stopped; an ensemble's test on two cases."""
    patches = {"[16, 96, 96]": 0, "[16, 128, 128]": 2}
    trials = []
    for number, (loss, patch) in enumerate((loss, patch) for loss in ("dice", "hybrid") for patch in patches):
        for fold in range(3):
            better = patches[patch] - (loss == "hybrid")
            found = {f"case{3 * fold + n}": max(1, min(8, 4 + better + (fold + n) % 3)) for n in range(3)}
            trials.append(trial(f"c{number:03}", loss, patch, fold, found))
    ended = {"report": None, "dice": 0.31}
    trials[-1] = trials[-1].model_copy(update=ended | {"status": "failed", "error": "<b>out of memory</b>"})
    trials[-2] = trials[-2].model_copy(update=ended | {"status": "stopped", "steps": 100})
    members = tuple(evaluate({"t0": found, "t1": 6}) for found in (5, 6, 7))
    test = TestResult(configuration="c001", ensemble=evaluate({"t0": 7, "t1": 6}), members=members)
    return summarise_sweep("losses & patches", AXES, trials, test)


def test_the_page_is_well_formed_and_asks_nobody_for_anything(report: SweepReport) -> None:
    html = render_sweep(report)
    page = Page(html)
    assert page.open == []
    assert not {"script", "link", "iframe", "object", "img"} & {tag for tag, _ in page.tags}
    assert not re.search(r"https?://|url\(|@import", html)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags


def test_every_part_is_there(report: SweepReport) -> None:
    page = Page(render_sweep(report))
    assert page.ids() == ["ranking", "without-rank", "folds", "pairs", "curves", "test", "trials", "reading"]
    assert "sweep of 4 configurations on 3 folds: 12 trials over, 1 of them failed, 1 stopped early" in page.text
    assert "Best configuration c001 loss.kind dice, sampling.patch_shape [16, 128, 128]" in page.text
    assert "1 stopped by the scheduler, 1 failed" in page.text


def test_numbers_are_those_of_the_report(report: SweepReport) -> None:
    page = Page(render_sweep(report))
    assert report.best is not None
    assert report.best.dice is not None
    assert f"Dice, mean over folds {report.best.dice.mean:.3f}" in page.text
    second = report.configurations[1]
    assert second.behind is not None
    assert f"The second, {second.configuration}, against it {format_signed_score(second.behind.mean)}" in page.text
    assert report.test is not None
    assert report.test.gain is not None
    assert f"differs by {format_signed_score(report.test.gain.mean)}" in page.text
    assert "12 trials, 6.0 h together, 12 core-hours, 3 GPU-hours" in page.text


def test_curves_and_ranges_can_be_read_aloud_and_stay_in_their_pictures(report: SweepReport) -> None:
    html = render_sweep(report)
    spoken = [attributes["aria-label"] or "" for tag, attributes in Page(html).tags if tag == "svg"]
    assert sum(label.startswith("95 % from") for label in spoken) == 3
    assert spoken.count("Dice in training, from 0 to 1") == 4
    paths = re.findall(r'class="(?:line|band)" d="([^"]+)"', html)
    assert len(paths) == 2 * 2 * 4
    numbers = [[float(each) for each in re.findall(r"[\d.]+", path)] for path in paths]
    assert all(42 <= x <= 252 for path in numbers for x in path[::2])
    assert all(8 <= y <= 92 for path in numbers for y in path[1::2])
    places = [float(x) for x in re.findall(r'<line[^>]*x1="([\d.]+)"', html)]
    assert min(places) == 2
    assert max(float(x) for x in re.findall(r'x2="([\d.]+)"', html)) == 98


def test_the_best_of_each_fold_is_marked(report: SweepReport) -> None:
    html = render_sweep(report)
    assert html.count('<td class="num best">') >= 3
    best = {
        fold.fold: max(row.folds[fold.fold].dice or 0.0 for row in report.configurations)
        for fold in report.configurations[0].folds
    }
    for dice in best.values():
        assert f'<td class="num best">{dice:.3f}</td>' in html


def test_names_from_outside_cannot_become_markup(report: SweepReport) -> None:
    html = render_sweep(report)
    assert "<b>out" not in html
    assert "&lt;b&gt;out of memory" in html
    assert "losses &amp; patches" in html


def test_a_sweep_of_which_nothing_is_done_has_a_page(trial: Trial) -> None:
    failed = [
        trial("c000", "dice", "16", fold, None, status="failed", error=f"reason {fold}", dice=None, curve=())
        for fold in range(MAX_NAMED + 3)
    ]
    page = Page(render_sweep(summarise_sweep("unlucky", AXES, failed, None)))
    assert page.open == []
    assert "There is no best configuration yet : none was evaluated on all folds." in page.text
    assert "15 trials failed" in page.text
    assert "c000, fold 0: reason 0" in page.text
    assert "… and 3 more" in page.text
    assert page.ids() == ["without-rank", "trials", "reading"]


def test_an_empty_sweep_has_a_page() -> None:
    page = Page(render_sweep(summarise_sweep("empty", AXES, [], None)))
    assert page.open == []
    assert "no trial is over" in page.text


def test_a_refit_is_not_called_an_ensemble(report: SweepReport) -> None:
    assert report.test is not None
    refit = report.test.model_copy(update={"members": (), "gain": None})
    text = Page(render_sweep(report.model_copy(update={"test": refit}))).text
    assert "a model trained anew on the cases of all folds" in text
    assert "ensemble" not in text


def test_repeats_and_recipes_are_told_apart(trial: Trial) -> None:
    trials = [
        trial(f"c{n}", "dice", "16", 0, {"a": 4 + n}, repeat=repeat, recipe=f"recipe{n}", values={})
        for n in range(2)
        for repeat in range(2)
    ]
    text = Page(render_sweep(summarise_sweep("two", (), trials, None))).text
    assert "each run 2 times" in text
    assert "recipe1" in text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99.4, "99 s"), (100, "1.7 min"), (5999, "100.0 min"), (6000, "1.7 h")]
)
def test_durations(seconds: float, text: str) -> None:
    assert format_duration(seconds).replace("\u202f", " ") == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0123, "+0.012"), (-0.5, "−0.500"), (0.0004, "0.000")])
def test_differences_of_scores(value: float | None, text: str) -> None:
    assert format_signed_score(value) == text
