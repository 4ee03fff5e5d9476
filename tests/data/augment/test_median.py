import torch

from osteon.data.augment.median import MedianBlurSpec, median_blur


def blurred(image: torch.Tensor, width_mm: float, spacing_mm: float = 1.0) -> torch.Tensor:
    spec = MedianBlurSpec(probability=1, width_mm=(width_mm, width_mm))
    median_blur([image], spec, ((spacing_mm,) * 3,) * len(image), torch.Generator().manual_seed(0))
    return image


def test_each_voxel_is_the_median_of_its_square() -> None:
    image = torch.tensor([[1.0, 2.0, 3.0], [4.0, 50.0, 6.0], [7.0, 8.0, 9.0]]).reshape(1, 1, 1, 3, 3)
    expected = [[2.0, 3.0, 3.0], [4.0, 6.0, 6.0], [7.0, 8.0, 9.0]]  # beyond the edge its voxels once more
    assert blurred(image, 3.0)[0, 0, 0].tolist() == expected


def test_slices_do_not_mix() -> None:
    image = torch.arange(3.0).reshape(1, 1, 3, 1, 1).repeat(1, 1, 1, 6, 5)
    assert torch.equal(blurred(image.clone(), 5.0), image)


def test_a_line_goes_and_an_edge_stays() -> None:
    image = torch.zeros(1, 1, 2, 9, 9)
    image[..., 5:] = 1
    line = image.clone()
    line[..., 2] = 1
    assert torch.equal(blurred(line, 3.0), image)


def test_width_is_in_millimetres_and_whole_odd_voxels() -> None:
    image = torch.rand(1, 1, 1, 9, 9)
    three = blurred(image.clone(), 3.0)
    assert torch.equal(blurred(image.clone(), 1.5, spacing_mm=0.5), three)
    assert torch.equal(blurred(image.clone(), 1.0), image)
    assert not torch.equal(blurred(image.clone(), 5.0), three)


def test_every_sample_has_its_own_width() -> None:
    image = torch.rand(1, 1, 1, 12, 12).repeat(6, 1, 1, 1, 1)
    spec = MedianBlurSpec(probability=1, width_mm=(3.0, 9.0))
    median_blur([image], spec, ((1.0, 1.0, 1.0),) * 6, torch.Generator().manual_seed(0))
    assert 1 < len({tuple(sample.flatten().tolist()) for sample in image}) <= 4  # 3, 5, 7 or 9 voxels
