from collections.abc import Callable, Iterator

import pytest
import torch
from pydantic import BaseModel, ValidationError

from osteon.core.labels import LabelTable
from osteon.data.augment import AugmentSpec, augment, generator_for
from osteon.data.loader import Batch

MakeBatch = Callable[..., Batch]
KINDS = list(AugmentSpec.model_fields)
SURE: dict[str, dict[str, object]] = {  # so strong that it shows in small patches
    "dropout": {"share": (0.5, 0.6), "hole_mm": (1.0, 2.0)},
    "perspective": {"strength": 0.4},
    "average_blur": {"width_mm": (3.0, 9.0)},
    "median_blur": {"width_mm": (4.5, 40.0)},
}


def only(kind: str | None, probability: float = 1.0) -> AugmentSpec:
    """A spec with one kind of augmentation, or with all."""
    chances = {name: {"probability": probability if kind in (None, name) else 0.0} for name in KINDS}
    return AugmentSpec.model_validate({name: chances[name] | SURE.get(name, {}) for name in KINDS})


def tensors(batch: Batch) -> Iterator[torch.Tensor]:
    yield from (batch.image_BCZYX, batch.labels_BZYX, *batch.contexts)


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_disabled_changes_nothing(make_batch: MakeBatch, table: LabelTable) -> None:
    batch = make_batch(num_contexts=2)
    assert same(augment(batch, AugmentSpec.disabled(), table, generator_for(0, 0, 0)), batch)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_the_image_and_leaves_its_input_alone(
    make_batch: MakeBatch, table: LabelTable, kind: str
) -> None:
    batch, before = make_batch(num_contexts=1), make_batch(num_contexts=1)
    result = augment(batch, only(kind), table, generator_for(0, 0, 0))
    assert same(batch, before)
    assert all(
        not torch.equal(ours, theirs) for ours, theirs in zip(result.image_BCZYX, batch.image_BCZYX, strict=True)
    )
    moves = kind in ("affine", "elastic", "crop", "perspective", "flip")
    assert torch.equal(result.labels_BZYX, batch.labels_BZYX) is not moves
    assert all(tensor.isfinite().all() for tensor in tensors(result))


@pytest.mark.parametrize("kind", [*KINDS, None])
def test_a_step_is_augmented_alike_whenever_it_runs(make_batch: MakeBatch, table: LabelTable, kind: str | None) -> None:
    batch = make_batch(num_contexts=1)
    first = augment(batch, only(kind), table, generator_for(3, 1, 7))
    assert same(augment(batch, only(kind), table, generator_for(3, 1, 7)), first)
    if kind not in ("flip", "invert", "equalise"):  # which have no strength that could differ
        others = [generator_for(4, 1, 7), generator_for(3, 0, 7), generator_for(3, 1, 8)]
        assert not any(same(augment(batch, only(kind), table, other), first) for other in others)


@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_drawn_one_by_one(make_batch: MakeBatch, table: LabelTable, kind: str) -> None:
    batch = make_batch(size=400, side=4)
    result = augment(batch, only(kind, 0.3), table, generator_for(0, 0, 0))
    changed = (result.image_BCZYX != batch.image_BCZYX).flatten(1).any(dim=1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=0.08)
    assert torch.equal(result.labels_BZYX[~changed], batch.labels_BZYX[~changed])


def test_labels_hold_only_what_was_there(make_batch: MakeBatch, table: LabelTable) -> None:
    batch = make_batch(size=4)
    batch.labels_BZYX[batch.labels_BZYX == 2] = 3
    batch.labels_BZYX[batch.labels_BZYX == 1] = 0
    for step in range(5):
        labels = augment(batch, only(None), table, generator_for(0, 0, step)).labels_BZYX
        assert labels.dtype == torch.uint8
        assert set(labels.flatten().tolist()) <= {0, 3, 4}


def test_published_kinds_that_few_need_are_off_by_default() -> None:
    spec = AugmentSpec()
    chances = {name: getattr(spec, name).probability for name in KINDS}
    assert {name for name, chance in chances.items() if chance == 0} == {
        "crop",
        "perspective",
        "sharpen",
        "invert",
        "dropout",
        "average_blur",
        "median_blur",
        "edges",
        "equalise",
    }


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"affine\.rotation\n"):
        AugmentSpec.model_validate({"affine": {"rotation": 3}})
    with pytest.raises(ValidationError, match=r"must be \(lowest, highest\), not \(2.0, 1.0\)"):
        AugmentSpec.model_validate({"gamma": {"exponent": (2.0, 1.0)}})


def test_every_setting_is_documented() -> None:
    def undocumented(model: type[BaseModel]) -> list[str]:
        found = [f"{model.__name__}.{name}" for name, field in model.model_fields.items() if not field.description]
        for field in model.model_fields.values():
            if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
                found += undocumented(field.annotation)
        return found

    assert undocumented(AugmentSpec) == []


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_batch_stays_there_and_gets_the_same_parameters(make_batch: MakeBatch, table: LabelTable) -> None:
    batch = make_batch(side=24, num_contexts=1)
    views = tuple(view.cuda() for view in batch.contexts)
    on_device = Batch(batch.image_BCZYX.cuda(), batch.labels_BZYX.cuda(), (), views, batch.spacing_mm)
    for kind in (kind for kind in KINDS if kind != "noise"):
        ours = augment(on_device, only(kind), table, generator_for(0, 0, 0))
        theirs = augment(batch, only(kind), table, generator_for(0, 0, 0))
        assert all(tensor.is_cuda for tensor in tensors(ours))
        torch.testing.assert_close(ours.image_BCZYX.cpu(), theirs.image_BCZYX, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(ours.contexts[0].cpu(), theirs.contexts[0], rtol=1e-3, atol=1e-3)
        assert (ours.labels_BZYX.cpu() == theirs.labels_BZYX).float().mean() > 0.999
