import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from osteon.core.errors import BadScan, StoreError
from osteon.serve import desk as desk_module
from osteon.serve.desk import MAX_LOSSES, Desk, Lost
from osteon.serve.ledger import Ledger
from osteon.serve.schemas import Bone, Order, Seconds, Segmentation, Standing, now
from osteon.serve.segmenter import Event
from osteon.serve.settings import ServeSettings
from osteon.serve.steps import Deposited, Done, Progress, RangeDone, Split

DONE = Done(digest="m", bones=(), formats=("nifti",), seconds=Seconds(finishing=0.5))
FOUND = DONE.model_copy(update={"bones": (Bone(name="sacrum", id=1, volume_ml=9.0, color="#aabbcc"),)})


@dataclass
class Script:
    """A crew whose steps end as a test says, in turn: an event, an error, or a death.

    Attributes:
        begin_ends: of the first step.
        range_ends: of every range.
        deposit_ends: of every deposit.
        asked: the steps so far.
    """

    begin_ends: list[Event | type[Lost] | Exception]
    range_ends: list[Event | type[Lost] | Exception] = field(default_factory=list)
    deposit_ends: list[Event | type[Lost] | Exception] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def begin(self, order: Order) -> AsyncIterator[Event]:
        self.asked.append(f"begin {order.id}")
        return _ends(self.begin_ends.pop(0))

    def label_range(self, _order: Order, number: int) -> AsyncIterator[Event]:
        self.asked.append(f"range {number}")
        return _ends(self.range_ends.pop(0))

    def finish(self, _order: Order) -> AsyncIterator[Event]:
        self.asked.append("finish")
        return _ends(DONE)

    def deposit(self, _order: Order) -> AsyncIterator[Event]:
        self.asked.append("deposit")
        return _ends(self.deposit_ends.pop(0))


async def _ends(event: Event | type[Lost] | Exception) -> AsyncIterator[Event]:
    yield Progress(stage="segmenting", share=0.5)
    if isinstance(event, type):
        raise event("killed")
    if isinstance(event, Exception) and not isinstance(event, BadScan):
        raise event
    yield event


@pytest.fixture
def ledger(settings: ServeSettings) -> Ledger:
    return Ledger(settings.open_store())


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "RETRY_S", 0.0)


def accepted(ledger: Ledger, id_: str = "a1", *, deposit: bool = False) -> Order:
    order = Order(id=id_, owner="anna", model="tiny", upload="uploads/u/scan.nii", created=now(), digest="d")
    return ledger.accept(order.model_copy(update={"deposit": deposit}))


def carried(ledger: Ledger, crew: Script, *, deposit: bool = False) -> Segmentation:
    """The order after the desk found it in the ledger and carried it out."""
    order = accepted(ledger, deposit=deposit)

    async def work() -> None:
        desk = Desk(ledger, crew)
        await desk.look()
        while desk.num_carried:
            await asyncio.sleep(0.01)

    asyncio.run(work())
    return ledger.segmentation(order)


def test_an_order_in_the_ledger_is_found_and_carried_out(ledger: Ledger) -> None:
    crew = Script([DONE])
    segmentation = carried(ledger, crew)

    assert segmentation.state == "done"
    assert segmentation.formats == ("nifti",)
    assert segmentation.model.digest == "m"
    assert segmentation.seconds.finishing == 0.5
    assert crew.asked == ["begin a1"]
    assert ledger.open_ids() == []


def test_who_waits_for_an_order_is_told_of_its_end(ledger: Ledger) -> None:
    order = accepted(ledger)

    async def wait() -> None:
        desk = Desk(ledger, Script([DONE]))
        await desk.look()
        async with asyncio.timeout(30):
            await desk.ended(order.id, 1e9)
        assert ledger.segmentation(order).state == "done"
        await desk.ended(order.id, 0.01)  # of one that nobody carries: the time is all there is to wait for

    asyncio.run(wait())


def test_ranges_are_labelled_and_then_joined(ledger: Ledger) -> None:
    split = Split(ranges=((0, 5), (5, 9)), seconds=Seconds(reading=2))
    crew = Script([split], [RangeDone(), RangeDone()])
    segmentation = carried(ledger, crew)

    assert segmentation.state == "done"
    assert segmentation.seconds.reading == 2
    assert crew.asked == ["begin a1", "range 0", "range 1", "finish"]


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ([Deposited()], "done"),
        ([Lost, StoreError("archive-unreachable", "away"), Deposited()], "done"),
        ([BadScan("archive-refused", "no")], "failed"),
        ([StoreError("archive-unreachable", "away")] * (MAX_LOSSES + 1), "failed"),
    ],
)
def test_what_was_found_is_told_whether_the_archive_takes_it_or_not(
    ledger: Ledger, ends: list[Event | type[Lost] | Exception], state: str
) -> None:
    crew = Script([FOUND], deposit_ends=[*ends])
    segmentation = carried(ledger, crew, deposit=True)

    assert segmentation.state == state
    assert (segmentation.problem is None) == (state == "done")
    assert (segmentation.bones, segmentation.formats, segmentation.model.digest) == (FOUND.bones, FOUND.formats, "m")
    assert crew.asked == ["begin a1"] + ["deposit"] * len(ends)


def test_an_order_ends_whatever_its_deposit_runs_into(ledger: Ledger) -> None:
    segmentation = carried(ledger, Script([FOUND], deposit_ends=[RuntimeError("a fault of ours")]), deposit=True)

    assert segmentation.state == "failed"
    assert segmentation.problem is not None


def test_a_step_whose_replica_dies_is_given_to_another(ledger: Ledger) -> None:
    split = Split(ranges=((0, 5),), seconds=Seconds())
    crew = Script([Lost, Lost, split], [Lost, RangeDone()])

    assert carried(ledger, crew).state == "done"
    assert crew.asked == ["begin a1"] * 3 + ["range 0"] * 2 + ["finish"]


def test_a_scan_that_kills_every_replica_is_given_up(ledger: Ledger) -> None:
    crew = Script([Lost] * (MAX_LOSSES + 1))
    segmentation = carried(ledger, crew)

    assert segmentation.state == "failed"
    assert segmentation.problem is not None
    assert segmentation.problem.code == "lost-replicas"
    assert len(crew.asked) == MAX_LOSSES + 1


def test_a_store_that_does_not_answer_a_step_is_asked_again(ledger: Ledger) -> None:
    away = StoreError("store-unreachable", "no answer")
    assert carried(ledger, Script([away, away, DONE])).state == "done"

    crew = Script([away] * (MAX_LOSSES + 1))
    ledger.forget(ledger.order("a1"))
    segmentation = carried(ledger, crew)
    assert segmentation.state == "failed"
    assert segmentation.problem is not None
    assert segmentation.problem.code == "store-unreachable"


def test_a_refusal_is_told_with_its_reason_and_not_tried_again(ledger: Ledger) -> None:
    split = Split(ranges=((0, 5), (5, 9)), seconds=Seconds())
    refusal = BadScan("missing-slice", "slice 7 is missing", remedy="send it")
    crew = Script([split], [refusal, refusal])
    segmentation = carried(ledger, crew)

    assert segmentation.state == "failed"
    assert segmentation.problem is not None
    assert (segmentation.problem.status, segmentation.problem.code) == (422, "missing-slice")
    assert segmentation.problem.remedy == "send it"
    assert "finish" not in crew.asked


def test_what_nobody_foresaw_fails_the_order_and_tells_nothing_of_the_inside(ledger: Ledger) -> None:
    segmentation = carried(ledger, Script([ZeroDivisionError("secret")]))

    assert segmentation.state == "failed"
    assert segmentation.problem is not None
    assert segmentation.problem.code == "internal"
    assert "secret" not in segmentation.problem.model_dump_json()


def test_a_store_that_does_not_answer_for_a_while_costs_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals, write = 3, Ledger.write

    def failing(self: Ledger, id_: str, standing: Standing) -> None:
        nonlocal refusals
        if standing.is_over and refusals:
            refusals -= 1
            raise StoreError("store-unreachable", "no answer")
        write(self, id_, standing)

    monkeypatch.setattr(Ledger, "write", failing)
    assert carried(ledger, Script([DONE])).state == "done"
    assert refusals == 0


def test_an_order_that_is_over_is_closed_and_not_done_again(ledger: Ledger) -> None:
    order = accepted(ledger)
    ledger.write(order.id, Standing(state="cancelled", updated=now()))
    ledger.store.write_bytes(f"open/{order.id}", now().isoformat().encode())
    crew = Script([])

    async def work() -> None:
        desk = Desk(ledger, crew)
        desk.take(order.id)
        while desk.num_carried:
            await asyncio.sleep(0.01)

    asyncio.run(work())
    assert crew.asked == []
    assert ledger.open_ids() == []


def test_an_order_that_is_dropped_is_left_at_once(ledger: Ledger) -> None:
    class Endless(Script):
        async def begin(self, order: Order) -> AsyncIterator[Event]:
            self.asked.append(f"begin {order.id}")
            while True:
                yield Progress(stage="segmenting", share=0.1)
                await asyncio.sleep(0.01)

    order = accepted(ledger)

    async def work() -> int:
        desk = Desk(ledger, Endless([]))
        desk.take(order.id)
        await asyncio.sleep(0.1)
        await desk.drop(order.id)
        return desk.num_carried

    assert asyncio.run(work()) == 0
    assert ledger.segmentation(order).state == "segmenting"


def test_what_was_kept_long_enough_is_forgotten(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    order = accepted(ledger)
    ledger.write(order.id, Standing(state="done", updated=now()))
    monkeypatch.setattr("osteon.serve.ledger.now", lambda: now() + timedelta(hours=2))
    monkeypatch.setattr(desk_module, "FORGET_S", 0.0)

    asyncio.run(Desk(ledger, Script([]), keep_hours=1).look())

    assert ledger.store.list() == []
