"""Every network as a scripted ONNX file that another engine computes alike, where ONNX can say what it does."""

import warnings
from pathlib import Path

import openvino
import pytest
import torch
from tiny_networks import TINY
from torch import Tensor
from torch.jit._trace import TracerWarning
from torch.onnx.errors import SymbolicValueError

from osteon.core.geometry import Index3
from osteon.models.build import SPECS, build
from osteon.models.network import Network

WHY_NOT = {
    "pspnet": "pools its coarsest map to 6 x 6 cells: ONNX pools adaptively only where 6 divides the sides of the map"
}


def network_and_input(name: str, times: Index3) -> tuple[Network, Tensor]:
    """A network whose batch norms have seen something, and an image of so many whole strides."""
    spec = SPECS[name].model_validate({"architecture": name, **TINY[name]})
    torch.manual_seed(1)
    network = build(spec, num_classes=3)
    shape = [count * side for count, side in zip(times, spec.stride, strict=True)]
    x = torch.randn(2, 1 + spec.num_contexts, *shape)
    with torch.no_grad():
        for _ in range(5):
            network.train()(x)
    return network.eval(), x[:1]


def export(network: Network, x: Tensor, file: Path) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)  # the exporter that needs no library of its own
        warnings.filterwarnings("ignore", category=TracerWarning)  # checks of shapes, which are fixed in the file
        warnings.filterwarnings("ignore", message=r".*'instance_norm' is set to train=True")  # as it always is
        torch.onnx.export(network, (x,), file, dynamo=False)


def assert_computed_alike(network: Network, x: Tensor, file: Path) -> None:
    export(network, x, file)
    compiled = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(compiled(x.numpy())[0]), network(x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", sorted(SPECS.keys() - WHY_NOT))
def test_the_exported_file_computes_the_same(name: str, tmp_path: Path) -> None:
    assert_computed_alike(*network_and_input(name, (2, 1, 2)), tmp_path / "network.onnx")


@pytest.mark.parametrize("name", sorted(WHY_NOT))
def test_what_cannot_be_exported_is_refused_and_nothing_wrong_is_written(name: str, tmp_path: Path) -> None:
    network, x = network_and_input(name, (2, 1, 2))
    with pytest.raises(SymbolicValueError, match="output size that are not factor of input size"):
        export(network, x, tmp_path / "network.onnx")
    assert list(tmp_path.iterdir()) == []


def test_pspnet_is_exported_where_its_maps_can_be_divided(tmp_path: Path) -> None:
    assert_computed_alike(*network_and_input("pspnet", (1, 6, 12)), tmp_path / "network.onnx")
