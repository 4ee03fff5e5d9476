import asyncio
import os
from typing import Any

import pytest

from osteon.serve import segmenter as segmenter_module
from osteon.serve.segmenter import Event, Segmenter
from osteon.serve.settings import Replicas, ServeSettings
from osteon.serve.steps import Progress, RangeDone, Report, Work


def said_of(settings: ServeSettings, monkeypatch: pytest.MonkeyPatch, windows: int) -> list[Event]:
    """Everything that is said of a step that reads, and then computes so many windows in no time."""

    def step(_work: Work, report: Report) -> RangeDone:
        report(Progress(stage="reading", share=0))
        for number in range(windows):
            report(Progress(stage="segmenting", share=number / windows))
        report(Progress(stage="finishing", share=0))
        return RangeDone()

    monkeypatch.setattr(Segmenter, "_do", lambda _self, _name, _id, step, report: step(None, report))
    segmenter: Any = Segmenter(settings.model_dump(mode="json"))

    async def listen() -> list[Event]:
        return [event async for event in segmenter._told("begin", "a1", step)]

    return asyncio.run(listen())


def test_of_many_windows_few_are_told_and_every_stage_is(
    settings: ServeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = said_of(settings, monkeypatch, 5)
    assert [event.stage for event in said if isinstance(event, Progress)] == ["reading", "segmenting", "finishing"]
    assert said[-1] == RangeDone()
    monkeypatch.setattr(segmenter_module, "SAY_S", -1.0)
    assert sum(isinstance(event, Progress) for event in said_of(settings, monkeypatch, 5)) == 7


@pytest.mark.parametrize(("cpus", "threads"), [(4, 4), (0.5, 1), (None, len(os.sched_getaffinity(0)))])
def test_a_process_computes_with_what_it_holds(cpus: float | None, threads: int) -> None:
    assert Replicas(cpus=cpus).threads == threads
