import pytest
import torch

from osteon.inference.ring import NotFinite, Ring, Scoring
from osteon.models.network import Fusion


def columns(values: list[list[float]]) -> torch.Tensor:
    """Scores per voxel as channels with a weight of one below."""
    scores = torch.tensor(values).T
    return torch.cat([scores, torch.ones_like(scores[:1])])


def test_the_class_is_the_first_of_the_largest_scores() -> None:
    scoring = Scoring(None, 3)
    found = scoring.classes(columns([[0.0, 1.0, 2.0], [5.0, 1.0, 5.0], [-1.0, -1.0, -1.0], [-3.0, -1.0, -2.0]]))
    assert found.tolist() == [2, 0, 0, 1]
    assert found.dtype == torch.uint8


@pytest.mark.parametrize("num_classes", [2, 126, 255, 256, 300])
def test_classes_are_those_of_argmax(num_classes: int) -> None:
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(num_classes, 6, generator=generator)
    sums = torch.randn(6, 500, generator=generator)
    found = Scoring(matrix, num_classes).classes(sums)
    assert found.long().tolist() == (matrix @ sums).argmax(0).tolist()


def test_most_voters_elect_the_class_however_sure_the_others_are() -> None:
    voters = [[2.0, 1.0, 0.0], [9.0, 1.0, 8.0], [0.0, 1.1, 1.0]]  # for classes 0, 0, 1; the sums are 11, 3.1, 9
    more = [[0.0, 1.0, 0.0], [99.0, 0.0, 0.0], [0.0, 1.0, 0.0]]  # for classes 1, 0, 1; the sums are 99, 2, 0
    columns_of = columns([[*voters[0], *voters[1], *voters[2]], [*more[0], *more[1], *more[2]]])
    assert Scoring(None, 3, num_voters=3).classes(columns_of).tolist() == [0, 1]


def test_a_tie_of_votes_goes_to_the_named_class_of_the_largest_sum() -> None:
    # Voters for 1, 2 and 3. Sums of classes 0 to 3: 11.7, 4, 9, 5; nobody names class 0.
    tie = [3.9, 4.0, 1.0, 1.0, 3.9, 0.0, 5.0, 0.0, 3.9, 0.0, 3.0, 4.0]
    # Voters for 3, 2 and 1 whose sums are alike: the smallest class.
    even = [0.0, 1.0, 2.0, 3.0, 0.0, 2.0, 3.0, 1.0, 0.0, 3.0, 1.0, 2.0]
    assert Scoring(None, 4, num_voters=3).classes(columns([tie, even, [0.0] * 12])).tolist() == [2, 1, 0]


def test_voters_with_a_matrix_vote_on_what_it_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix, sums = torch.randn(6, 5, generator=generator), torch.randn(5, 400, generator=generator)
    scores = (matrix @ sums).reshape(3, 2, 400)
    expected = (scores.argmax(1).sum(0) >= 2).long()  # of two classes one always has most of three votes
    assert Scoring(matrix, 2, num_voters=3).classes(sums).long().tolist() == expected.tolist()


@pytest.mark.parametrize("num_voters", [2, 5])
def test_probabilities_are_averaged_whatever_the_sum_of_weights(num_voters: int) -> None:
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(400, generator=generator) * 3 + 0.01
    logits = 3 * torch.randn(num_voters, 4, 400, generator=generator)
    sums = torch.cat([(logits * weight).flatten(0, 1), weight[None]])
    expected = logits.double().softmax(1).mean(0).argmax(0)
    assert Scoring(None, 4, num_voters, "probability").classes(sums).long().tolist() == expected.tolist()
    assert (logits.mean(0).argmax(0) != expected).any()  # else logits could have been averaged
    assert (Scoring(None, 4, num_voters).classes(sums).long() != expected).any()  # or votes counted


def test_equal_probabilities_and_voxels_that_nothing_covers_go_to_the_smaller_class() -> None:
    even = torch.tensor([[1.0, 2.0, 0.0, 1.0, 0.0, 2.0, 2.0], [0.0] * 7]).T  # the second one's weight is 0
    assert Scoring(None, 3, 2, "probability").classes(even).tolist() == [1, 0]


def test_probabilities_of_a_matrix_are_those_of_what_it_gives() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix, sums = torch.randn(6, 5, generator=generator), torch.randn(5, 400, generator=generator)
    sums[-1] = 2.0
    expected = (matrix @ sums / 2).reshape(3, 2, 400).softmax(1).mean(0).argmax(0)
    assert Scoring(matrix, 2, 3, "probability").classes(sums).long().tolist() == expected.tolist()


@pytest.mark.parametrize("fusion", ["vote", "probability"])
def test_a_voter_that_gives_nan_is_refused(fusion: Fusion) -> None:
    with pytest.raises(NotFinite, match="output-not-finite"):
        Scoring(None, 2, 2, fusion).classes(columns([[0.0, 1.0, float("nan"), 0.0]]))


def test_nan_is_refused() -> None:
    with pytest.raises(NotFinite, match="output-not-finite"):
        Scoring(None, 2).classes(columns([[0.0, 1.0], [float("nan"), 0.0]]))


def test_sums_are_weighted_and_planes_that_nothing_covers_are_background() -> None:
    weights = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.1
    ring = Ring(weights, 2, (3, 11, -1, 5))
    window = torch.randn(2, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    ring.add((6, 5, 0), window)  # planes 6 to 9: places 2, 3, 0, 1
    ring.add((6, 7, 1), window)
    torch.testing.assert_close(ring.plane(9)[:2, 2:4, 1:5], window[:, 3, :2] * weights[3, :2])
    shared = (window * weights)[:, 0, 2:, 1:] + (window * weights)[:, 0, :2, :3]
    torch.testing.assert_close(ring.plane(6)[:2, 4:6, 2:5], shared)
    classes = ring.classes(6, Scoring(None, 2))
    assert classes[:2].sum() == 0
    assert torch.equal(classes[2:4, 1:5], window[:, 0, :2].argmax(0))
    ring.clear(6, 8)
    assert not ring.plane(6).any()
    assert ring.plane(8).any()
