"""An encoder's start from a classifier's weights: names, the first layer, and what is refused."""

import hashlib
import io
from typing import Any

import pytest
import torch

from osteon.core.errors import BadInput
from osteon.models.encoders2d import VGG16
from osteon.models.pretrained import load_encoder
from osteon.models.resnet50 import ResNet50

COLOURS = 3


def classifier(encoder: VGG16 | ResNet50) -> dict[str, torch.Tensor]:
    """The state dict of a whole classifier of colour pictures, with random numbers, as torchvision writes it."""
    generator = torch.Generator().manual_seed(4)
    state = {
        name: torch.rand(value.shape, generator=generator)
        for name, value in encoder.state_dict().items()
        if not name.endswith("num_batches_tracked")  # as in files of old
    }
    out, _, height, width = state[encoder.first].shape
    state[encoder.first] = torch.rand(out, COLOURS, height, width, generator=generator)
    return state | {"fc.weight": torch.rand(10, 4), "layer4.0.conv1.weight": torch.rand(2, 2, 1, 1)}


def saved(state: Any) -> tuple[bytes, str]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()


@pytest.mark.parametrize("kind", [VGG16, ResNet50])
def test_grey_slices_count_as_pictures_of_three_equal_colours(kind: type[VGG16] | type[ResNet50]) -> None:
    encoder = kind()
    state = classifier(encoder)
    load_encoder(encoder, *saved(state), where="w.pth")
    kept = encoder.state_dict()
    assert all(torch.equal(kept[name], state[name]) for name in kept if name in state and name != encoder.first)
    grey, first = torch.rand(1, 1, 16, 16), state[encoder.first]
    torch.testing.assert_close(
        torch.nn.functional.conv2d(grey, kept[encoder.first]),
        torch.nn.functional.conv2d(grey.expand(1, COLOURS, 16, 16), first),
    )


def test_names_and_shapes_are_torchvisions() -> None:
    shapes = {name: tuple(value.shape) for name, value in ResNet50().state_dict().items()}
    assert shapes["conv1.weight"] == (64, 1, 7, 7)
    assert shapes["layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["layer2.3.conv2.weight"] == (128, 128, 3, 3)
    assert shapes["layer3.0.downsample.1.running_mean"] == (1024,)
    assert shapes["layer3.5.bn3.bias"] == (1024,)
    assert len(shapes) == 6 * (1 + 3 * 13 + 3)  # a convolution and its norm's five: stem, blocks, shortcuts
    vgg = {name: tuple(value.shape) for name, value in VGG16().state_dict().items()}
    assert [int(name.split(".")[1]) for name in vgg if name.endswith("weight")] == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21]
    assert vgg["features.21.weight"] == (512, 512, 3, 3)


def test_another_file_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(BadInput, match=r"w\.pth: the file has SHA-256 .*… \[pretrained-digest\] — get the file again"):
        load_encoder(VGG16(), b"not a pickle", "0" * 64, where="w.pth")


@pytest.mark.parametrize("content", [{"fc.weight": torch.zeros(1)}, [1, 2], {"model": {"conv1.weight": 1}}])
def test_files_without_the_weights_are_refused(content: Any) -> None:
    with pytest.raises(BadInput, match=r"\[pretrained-weights\]"):
        load_encoder(ResNet50(), *saved(content), where="w.pth")


def test_another_architectures_weights_are_refused_by_name() -> None:
    state = classifier(ResNet50())
    state["layer2.0.conv1.weight"] = torch.zeros(3, 3, 1, 1)
    with pytest.raises(BadInput, match=r"fit for 1 of 258 tensors of ResNet50, as layer2\.0\.conv1\.weight"):
        load_encoder(ResNet50(), *saved(state), where="w.pth")


def test_bytes_that_are_no_file_of_torch_are_refused() -> None:
    with pytest.raises(BadInput, match="not a state dict of torch"):
        load_encoder(VGG16(), b"hello", hashlib.sha256(b"hello").hexdigest(), where="w.pth")
