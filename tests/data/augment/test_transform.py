import torch

from osteon.data.augment.transform import map_axes


def test_axes_are_mapped_each_by_its_own_matrix() -> None:
    block = torch.randn(2, 3, 4, 5, 6)
    z, y, x = torch.randn(2, 7, 4), torch.randn(2, 8, 5), torch.randn(2, 9, 6)
    expected = torch.einsum("bcijk,bzi,byj,bxk->bczyx", block, z, y, x)
    torch.testing.assert_close(map_axes(block, z, y, x), expected, rtol=1e-4, atol=1e-4)
