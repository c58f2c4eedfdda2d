import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from wbc.scores.intervals import (
    bayesian_bootstrap,
    bootstrap,
    effective_size,
    mean_interval,
    percentile_ends,
    wilson_interval,
)


def test_the_t_interval_of_a_mean() -> None:
    # Ten differences of hours of sleep (Student 1908, table 1): mean 1.58, standard deviation 1.23, t(9) = 2.262.
    values = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    interval = mean_interval(values)
    assert interval.value == pytest.approx(1.58)
    assert interval.low == pytest.approx(0.70, abs=0.005)
    assert interval.high == pytest.approx(2.46, abs=0.005)


def test_a_t_interval_ends_where_no_value_can_lie() -> None:
    # Of two values 0.1 apart: t(1) = 12.706, standard error 0.05.
    assert mean_interval([0.9, 1.0]) == pytest.approx((0.95, 0.3147, 1.5853), abs=1e-4)
    assert mean_interval([0.9, 1.0], least=0.0, most=1.0) == pytest.approx((0.95, 0.3147, 1.0), abs=1e-4)
    assert mean_interval([0.0, 0.1], least=0.0, most=1.0) == pytest.approx((0.05, 0.0, 0.6853), abs=1e-4)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        mean_interval([0.5])


def test_wilson_s_interval_of_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662, 0 of 20 gives 0 to 0.1611.
    assert wilson_interval(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.0, 0.1611), abs=5e-5)


def test_a_proportion_of_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(0, 0)


def mean_of(values: NDArray[np.float64]):  # type: ignore[no-untyped-def]
    return lambda weights: pd.DataFrame({"mean": weights @ values / weights.sum(axis=1)})


def test_the_bootstrap_of_a_mean_spreads_as_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(size=400)
    resampled = bootstrap(mean_of(values), groups=[str(i) for i in range(400)])
    assert len(resampled) == 2000
    assert resampled["mean"].std() == pytest.approx(values.std() / np.sqrt(400), rel=0.05)
    ends = percentile_ends(resampled)["mean"]
    assert ends["high"] - ends["low"] == pytest.approx(2 * 1.96 * values.std() / np.sqrt(400), rel=0.07)


def test_groups_are_drawn_whole() -> None:
    # Four groups of one value each: the spread is that of four draws, however many images a group has.
    values = np.repeat([0.0, 0.0, 1.0, 1.0], [25, 25, 25, 25])
    resampled = bootstrap(mean_of(values), groups=np.repeat(list("abcd"), 25).tolist())["mean"]
    assert set(resampled) == {0.0, 0.25, 0.5, 0.75, 1.0}
    assert resampled.std() == pytest.approx(0.25, rel=0.05)


def test_equal_groups_are_drawn_equally_so_that_differences_are_paired() -> None:
    values = np.random.default_rng(0).normal(size=50)
    groups = [str(i // 2) for i in range(50)]
    first, second = (bootstrap(mean_of(values + shift), groups=groups)["mean"] for shift in (0.0, 0.1))
    assert (second - first).to_numpy() == pytest.approx(0.1)
    assert not np.allclose(first, bootstrap(mean_of(values), groups=groups, seed=1)["mean"])


def test_resamples_where_nothing_is_defined_are_left_out() -> None:
    ends = percentile_ends(pd.DataFrame({"sensitivity": [np.nan, 0.5, 1.0, np.nan]}))
    assert ends["sensitivity"].between(0.5, 1.0).all()


def test_twins_count_as_one_image_and_copies_as_none_at_all() -> None:
    assert effective_size(list("abcd")) == 4.0
    assert effective_size(list("aabbcc")) == 3.0
    assert effective_size(list("aabcd")) == pytest.approx(25 / 7)  # a pair among four: between 3 and 4
    assert effective_size([]) == 0.0


def test_the_bayesian_bootstrap_spreads_as_a_beta_distribution_and_leaves_nothing_out() -> None:
    # 3 of 10 groups and imaginary images of 0.5 right and 0.5 wrong: Beta(3.5, 7.5) (Jeffreys).
    hits = np.arange(10) < 3

    def share(groups: NDArray[np.float64], imaginary: NDArray[np.float64]) -> pd.DataFrame:
        assert groups.min() > 0
        right = groups @ hits + imaginary[:, 0]
        return pd.DataFrame({"share": right / (groups.sum(axis=1) + imaginary.sum(axis=1))})

    drawn = bayesian_bootstrap(share, groups=10, prior=np.array([0.5, 0.5]))["share"]
    assert len(drawn) == 2000
    assert drawn.mean() == pytest.approx(3.5 / 11, abs=0.01)
    assert drawn.quantile([0.025, 0.975]).tolist() == pytest.approx([0.0927, 0.6058], abs=0.03)
    again = bayesian_bootstrap(share, groups=10, prior=np.array([0.5, 0.5]))["share"]
    assert drawn.tolist() == again.tolist()


def test_ends_of_a_measure_that_resampling_moves_are_moved_back() -> None:
    resampled = pd.DataFrame({"error": np.linspace(0.1, 0.3, 201), "other": np.linspace(0.1, 0.3, 201)})
    ends = percentile_ends(resampled, moved={"error": 0.15})  # the mean of the resamples is 0.2
    assert ends["error"].tolist() == pytest.approx([0.055, 0.245])
    assert ends["other"].tolist() == pytest.approx([0.105, 0.295])
