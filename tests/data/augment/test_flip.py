from collections.abc import Callable

import torch

from osteon.core.labels import BONES, LabelTable
from osteon.data.augment.flip import FlipSpec, flip, twin_classes
from osteon.data.loader import Batch

MakeBatch = Callable[..., Batch]


def flipped(batch: Batch, table: LabelTable, spec: FlipSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Image, context and labels after flipping."""
    image, context, labels = batch.image_BCZYX.clone(), batch.contexts[0].clone(), batch.labels_BZYX.clone()
    flip([image, context], [labels], spec, table, torch.Generator().manual_seed(0))
    return image, context, labels


def test_mirroring_left_to_right_swaps_the_sides(make_batch: MakeBatch, table: LabelTable) -> None:
    batch = make_batch(num_contexts=1)
    image, context, labels = flipped(batch, table, FlipSpec(probability=1))
    assert torch.equal(image, batch.image_BCZYX.flip(-1))
    assert torch.equal(context, batch.contexts[0].flip(-1))
    mirrored = batch.labels_BZYX.flip(-1)
    class_of = {name: int(table.class_of()[label]) for name, label in table.ids.items()}
    swap = {"femur_left": "femur_right", "femur_right": "femur_left", "sacrum": "sacrum", "sternum": "sternum"}
    for name, twin in swap.items():
        assert torch.equal(labels == class_of[twin], mirrored == class_of[name])
    assert torch.equal(labels == 0, mirrored == 0)


def test_two_mirrorings_are_a_rotation_and_keep_the_sides(make_batch: MakeBatch, table: LabelTable) -> None:
    batch = make_batch(num_contexts=1)
    _, _, labels = flipped(batch, table, FlipSpec(probability=1, axes=("z", "x")))
    assert torch.equal(labels, batch.labels_BZYX.flip(-1, -3))
    _, _, labels = flipped(batch, table, FlipSpec(probability=1, axes=("z", "y", "x")))
    assert torch.equal(labels, twin_classes(table)[batch.labels_BZYX.flip(-1, -2, -3).long()].to(torch.uint8))


def test_a_bone_without_its_twin_keeps_its_patch_unmirrored(make_batch: MakeBatch, table: LabelTable) -> None:
    one_sided = table.subset([table.ids["femur_left"], table.ids["sacrum"]])
    batch = make_batch(num_contexts=1)
    sacrum, femur = (int(one_sided.class_of()[table.ids[name]]) for name in ("sacrum", "femur_left"))
    batch.labels_BZYX[:] = sacrum
    batch.labels_BZYX[1, 0, 0, 0] = femur
    image, _, labels = flipped(batch, one_sided, FlipSpec(probability=1))
    assert torch.equal(image[0], batch.image_BCZYX[0].flip(-1))
    assert torch.equal(image[1], batch.image_BCZYX[1])
    assert torch.equal(labels[1], batch.labels_BZYX[1])


def test_twins_are_mutual_over_all_bones() -> None:
    twin = twin_classes(BONES)
    assert torch.equal(twin[twin], torch.arange(len(BONES) + 1))
    names = ["background", *(label.name for label in BONES.labels)]
    for number, name in enumerate(names):
        other = names[int(twin[number])]
        assert (other != name) == ("left" in name or "right" in name)
        assert other.replace("left", "right") == name.replace("left", "right")
