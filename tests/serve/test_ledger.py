import os
from datetime import timedelta
from pathlib import Path

import pytest

from osteon.core.errors import Conflict
from osteon.serve.ledger import Ledger, NotFound
from osteon.serve.schemas import Order, Standing, now
from osteon.storage.stores import Store, open_store


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return open_store(str(tmp_path / "store"))
    return open_store(request.getfixturevalue("s3_url"))


@pytest.fixture
def ledger(store: Store) -> Ledger:
    return Ledger(store)


def an_order(id_: str = "a1", owner: str = "anna", digest: str = "d", age_h: float = 0.0) -> Order:
    created = now() - timedelta(hours=age_h)
    return Order(id=id_, owner=owner, model="tiny", upload=f"uploads/{id_}/scan.nii.gz", created=created, digest=digest)


def over(state: str = "done") -> Standing:
    return Standing.model_validate({"state": state, "updated": now()})


def test_an_accepted_order_is_open_until_it_is_over(ledger: Ledger) -> None:
    order = ledger.accept(an_order())

    assert ledger.open_ids() == ["a1"]
    assert ledger.segmentation(order).state == "accepted"
    ledger.write("a1", Standing(state="segmenting", progress=0.5, updated=now()))
    assert ledger.segmentation(order).progress == 0.5
    ledger.write("a1", over())
    assert ledger.open_ids() == []
    assert ledger.segmentation(order).state == "done"


def test_what_is_acknowledged_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scan, its order, and that somebody has to look at it are on the disk, and so is that it is over."""
    store, synced = open_store(str(tmp_path / "store")), set[Path]()
    monkeypatch.setattr(os, "fsync", lambda opened: synced.add(Path(f"/proc/self/fd/{opened}").readlink()))
    ledger, order = Ledger(store), an_order()
    store.write_bytes(order.upload or "", b"scan")

    for _ in range(2):  # asked again, because the first one may have been killed before it came so far
        synced.clear()
        ledger.accept(order)
        kept = {"uploads/a1/scan.nii.gz", "orders/a1.json", "open/a1", *store.list("owners")}
        assert len(kept) == 4
        assert {tmp_path / "store" / key for key in kept} <= synced
    ledger.write("a1", over())
    assert tmp_path / "store" / "standings" / "a1.json" in synced


def test_the_same_request_twice_is_one_order_and_another_one_is_refused(ledger: Ledger) -> None:
    first = ledger.accept(an_order())

    assert ledger.accept(an_order()) == first
    with pytest.raises(Conflict, match="Idempotency-Key"):
        ledger.accept(an_order(digest="other"))
    ledger.write("a1", over())
    assert ledger.accept(an_order()) == first
    assert ledger.open_ids() == [], "what is over is not opened again"


def test_nobody_sees_the_orders_of_another(ledger: Ledger) -> None:
    ledger.accept(an_order("a1", "anna"))
    ledger.accept(an_order("b1", "bert"))

    with pytest.raises(NotFound, match="no segmentation 'b1' of yours"):
        ledger.order("b1", "anna")
    assert [order.id for order in ledger.owned("anna", None, 10)[0]] == ["a1"]
    for id_ in ("../orders/b1", "b1.json", ""):
        with pytest.raises(NotFound):
            ledger.order(id_, "bert")


def test_pages_go_from_the_newest_to_the_oldest(ledger: Ledger) -> None:
    for number in range(5):
        ledger.accept(an_order(f"a{number}", age_h=5 - number))

    first, after = ledger.owned("anna", None, 2)
    second, last = ledger.owned("anna", after, 3)

    assert [order.id for order in first + second] == ["a4", "a3", "a2", "a1", "a0"]
    assert last is None


def test_forgetting_leaves_nothing(ledger: Ledger) -> None:
    order = ledger.accept(an_order())
    ledger.expect(order.upload or "")
    ledger.store.write_bytes(order.upload or "", b"scan")
    ledger.store.write_bytes("results/a1.zarr/zarr.json", b"{}")
    ledger.write("a1", over())

    ledger.forget(order)

    assert ledger.store.list() == []


def test_only_what_is_old_and_over_is_forgotten(ledger: Ledger) -> None:
    for id_, hours in (("old", 30.0), ("busy", 30.0), ("young", 1.0)):
        ledger.accept(an_order(id_, age_h=hours))
    for id_ in ("old", "young"):
        ledger.write(id_, over())

    assert ledger.forget_older(24.0) == 1
    assert {order.id for order in ledger.owned("anna", None, 10)[0]} == {"busy", "young"}


def test_a_marker_without_an_order_is_dropped_after_an_hour(ledger: Ledger) -> None:
    ledger.store.write_bytes("open/fresh", now().isoformat().encode())
    ledger.store.write_bytes("open/stale", (now() - timedelta(hours=2)).isoformat().encode())

    for id_ in ledger.open_ids():
        ledger.drop_stale(id_)

    assert ledger.open_ids() == ["fresh"]


def test_a_scan_that_nobody_asked_for_is_deleted_after_a_while(ledger: Ledger) -> None:
    for upload in ("fresh", "stale", "asked"):
        ledger.expect(f"uploads/{upload}/scan.nii")
        ledger.store.write_bytes(f"uploads/{upload}/scan.nii", b"scan")
    ledger.accept(an_order().model_copy(update={"upload": "uploads/asked/scan.nii"}))
    for upload in ("stale", "asked"):  # the second as if a kill had left its marker
        ledger.store.write_bytes(f"unclaimed/{upload}", (now() - timedelta(hours=30)).isoformat().encode())

    assert ledger.forget_unclaimed(24.0) == 1
    assert ledger.store.list("uploads") == ["uploads/asked/scan.nii", "uploads/fresh/scan.nii"]
    assert ledger.store.list_children("unclaimed") == ["fresh"]


def test_what_a_kill_left_half_received_is_deleted_after_a_while(tmp_path: Path) -> None:
    ledger = Ledger(open_store(str(tmp_path / "store")))
    with ledger.receiving() as folder:
        (folder / "scan.nii").write_bytes(b"half")
        left = folder.with_name(f"{folder.name}-left")
        folder.rename(left)
        folder.mkdir()
    ledger.forget_unclaimed(24.0)
    assert left.exists()
    os.utime(left, (0, 0))
    ledger.forget_unclaimed(24.0)
    assert not left.exists()
    assert not folder.exists()


def test_an_order_that_was_deleted_is_cancelled_for_whoever_still_follows_it(ledger: Ledger) -> None:
    order = ledger.accept(an_order())
    assert ledger.standing(order).state == "accepted"
    ledger.forget(order)
    assert ledger.standing(order).state == "cancelled"


def test_what_a_step_puts_for_a_deleted_order_is_deleted_too(ledger: Ledger) -> None:
    kept, gone = ledger.accept(an_order("a1")), ledger.accept(an_order("a2"))
    ledger.forget(gone)
    for order in (kept, gone):
        ledger.store.write_bytes(f"results/{order.id}.zarr/zarr.json", b"{}")
        ledger.store.write_bytes(f"work/{order.id}/part-0.npz", b"labels")
        ledger.store.write_bytes(f"standings/{order.id}.json", b"{}")

    assert ledger.forget_orphans() == 1
    assert not [key for key in ledger.store.list() if "a2" in key]
    assert len([key for key in ledger.store.list() if "a1" in key]) == 6
