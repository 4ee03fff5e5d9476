import numpy as np

from osteon.data.phantom.draws import Draws


def test_a_key_fixes_the_stream_for_ever() -> None:
    draws = Draws(2, 3)

    assert [round(draws.uniform(0, 100), 6) for _ in range(3)] == [35.144692, 50.708123, 53.848232]
    assert draws.order(6) == [1, 0, 5, 2, 4, 3]


def test_keys_give_different_streams() -> None:
    assert Draws(2, 3).uniform(0, 1) != Draws(3, 2).uniform(0, 1) != Draws(2).uniform(0, 1)


def test_uniform_and_about_stay_in_their_range_and_fill_it() -> None:
    draws = Draws(1)
    uniform = [draws.uniform(-2.0, 5.0) for _ in range(2000)]
    about = [draws.about(3.0) for _ in range(2000)]

    assert -2.0 <= min(uniform) < -1.9
    assert 4.9 < max(uniform) < 5.0
    assert max(map(abs, about)) < 3.0
    assert np.mean(np.abs(about)) < 1.2  # likelier near 0: a uniform draw would give 1.5


def test_chance_has_its_probability() -> None:
    draws = Draws(4)

    assert 560 < sum(draws.chance(0.3) for _ in range(2000)) < 640


def test_order_is_a_permutation() -> None:
    assert sorted(Draws(5).order(50)) == list(range(50)) != Draws(5).order(50)


def test_grain_is_white_noise_of_mean_0_and_deviation_4() -> None:
    grain = Draws(6).grain((20, 30, 40))

    assert grain.dtype == np.int32
    assert abs(grain.mean()) < 0.1
    assert abs(grain.std() - 4.0) < 0.1
    assert abs(np.corrcoef(grain[..., 1:].ravel(), grain[..., :-1].ravel())[0, 1]) < 0.03
