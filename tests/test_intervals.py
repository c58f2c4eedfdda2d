import pytest

from wbc.intervals import mean_interval


def test_the_t_interval_of_a_mean() -> None:
    # Ten differences of hours of sleep (Student 1908, table 1): mean 1.58, standard deviation 1.23, t(9) = 2.262.
    values = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
    interval = mean_interval(values)
    assert interval.value == pytest.approx(1.58)
    assert interval.low == pytest.approx(0.70, abs=0.005)
    assert interval.high == pytest.approx(2.46, abs=0.005)


def test_one_value_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2 values, got 1"):
        mean_interval([0.5])
