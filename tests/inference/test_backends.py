"""One suite for every backend, and the choice between them."""

from abc import abstractmethod
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from osteon.core.errors import BadInput
from osteon.core.geometry import Index3
from osteon.inference.agreement import BackendDisagrees
from osteon.inference.backends import Backend, Head, Windows, open_backend
from osteon.inference.openvino_backend import OpenVinoBackend
from osteon.inference.torch_backend import TorchBackend

WINDOW: Index3 = (16, 8, 12)
BATCH = 3
NetOf = Callable[..., nn.Module]


def windows(count: int) -> Windows:
    return np.random.default_rng(3).standard_normal((count, 1, *WINDOW)).astype(np.float32)


class BackendTests:
    """What every backend promises; a subclass opens one and says how far bfloat16 may lead it astray."""

    tolerance = 1e-4

    @abstractmethod
    def open(self, network: nn.Module, num_threads: int = 2) -> Backend: ...

    @pytest.fixture
    def network(self, tiny_net: NetOf) -> nn.Module:
        return tiny_net()

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls, tiny_net: NetOf) -> Backend:
        return cls().open(tiny_net())

    def test_shapes_and_types(self, backend: Backend) -> None:
        assert backend.features(windows(BATCH)).shape == (BATCH, 4, *WINDOW)
        assert backend.logits(windows(BATCH)).shape == (BATCH, 9, *WINDOW)
        assert backend.features(windows(1)).dtype == backend.logits(windows(1)).dtype == np.float32

    def test_agrees_with_eager_float32(self, backend: Backend, network: nn.Module) -> None:
        with torch.inference_mode():
            expected = network(torch.from_numpy(windows(2))).numpy()
        found = backend.logits(windows(2))
        np.testing.assert_allclose(found, expected, atol=self.tolerance * np.abs(expected).max())
        assert backend.agreement >= (found.argmax(1) == expected.argmax(1)).mean() - 0.05

    def test_the_head_takes_features_to_logits(self, backend: Backend) -> None:
        weight, bias = backend.head.weight.numpy(), backend.head.bias.numpy()
        from_features = np.einsum("kf,bfzyx->bkzyx", weight, backend.features(windows(1))) + bias[:, None, None, None]
        logits = backend.logits(windows(1))
        np.testing.assert_allclose(from_features, logits, atol=max(1e-5, self.tolerance) * np.abs(logits).max())

    def test_a_window_gives_the_same_alone_and_in_any_batch(self, backend: Backend) -> None:
        together = backend.logits(windows(BATCH))
        for number in range(BATCH):
            alone = backend.logits(windows(BATCH)[number : number + 1])
            np.testing.assert_allclose(alone[0], together[number], atol=1e-5)

    def test_the_number_of_threads_changes_nothing(self, network: nn.Module) -> None:
        one, two = (self.open(network, threads).features(windows(1)) for threads in (1, 2))
        np.testing.assert_allclose(one, two, atol=1e-5)

    def test_results_under_way_do_not_mix(self, backend: Backend) -> None:
        batches = torch.from_numpy(windows(BATCH))[:, None][: backend.depth]
        expected = [backend.logits(batch.numpy()) for batch in batches]
        pending = [backend.submit(batch, "logits") for batch in batches]
        for each, alone in zip(pending, expected, strict=True):
            np.testing.assert_allclose(each.result().float().numpy(), alone, atol=1e-5)


class TestTorchBackend(BackendTests):
    tolerance = 1e-6

    def open(self, network: nn.Module, num_threads: int = 2) -> Backend:
        torch.set_num_threads(num_threads)
        return TorchBackend(network, WINDOW, BATCH, torch.device("cpu"))


class TestTorchBackendInHalf(BackendTests):
    tolerance = 0.03

    def open(self, network: nn.Module, num_threads: int = 2) -> Backend:
        torch.set_num_threads(num_threads)
        return TorchBackend(network, WINDOW, BATCH, torch.device("cpu"), half=True)


class TestOpenVinoBackend(BackendTests):
    tolerance = 1e-5

    def open(self, network: nn.Module, num_threads: int = 2) -> Backend:
        return OpenVinoBackend(network, WINDOW, BATCH, "float32", num_threads=num_threads)


class TestOpenVinoBackendAsItComes(BackendTests):
    tolerance = 0.03

    def open(self, network: nn.Module, num_threads: int = 2) -> Backend:
        return OpenVinoBackend(network, WINDOW, BATCH, num_threads=num_threads)


def test_auto_is_openvino_on_a_cpu_and_leaves_the_network_alone(tiny_net: NetOf) -> None:
    network = tiny_net().train()
    backend = open_backend(network, "auto", WINDOW, device="cpu")
    assert backend.name.startswith("openvino")
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_an_unknown_engine_is_refused(tiny_net: NetOf) -> None:
    with pytest.raises(BadInput, match="unknown-backend"):
        open_backend(tiny_net(), "tensorrt", WINDOW)  # type: ignore[arg-type]  # what a caller may still pass


def test_a_head_that_is_more_than_a_1x1x1_convolution_is_refused(tiny_net: NetOf) -> None:
    network = tiny_net()
    network.head = nn.Conv3d(4, 9, 3, padding=1)
    with pytest.raises(BadInput, match="network-head"):
        Head.of(network)


def test_a_network_that_bfloat16_is_too_coarse_for_is_computed_in_float32(tiny_net: NetOf) -> None:
    network = tiny_net()
    with torch.no_grad():
        network.get_parameter("body.3.bias").fill_(1000.0)  # bfloat16 has steps of 4 there, and features differ by 1
        network.get_parameter("head.weight").sub_(network.get_parameter("head.weight").mean(1, keepdim=True))
    assert open_backend(network, "openvino", WINDOW, device="cpu").name == "openvino float32"
    if torch.cuda.is_available():
        assert open_backend(network, "torch", WINDOW, compiled=False).name == "torch eager float32 on cuda"
    with pytest.raises(BackendDisagrees):
        open_backend(network, "openvino", WINDOW, precision="bfloat16", device="cpu")
