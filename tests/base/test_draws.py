import pytest

from wbc.base.draws import generator


def test_a_draw_is_the_same_for_ever() -> None:
    assert generator(1, "view", "BloodImage_00007", 3).integers(1_000_000, size=3).tolist() == [394777, 598518, 402685]


@pytest.mark.parametrize(
    "other", [(2, "view", "a", 3), (1, "thin", "a", 3), (1, "view", "b", 3), (1, "view", "a", 4), (1, "view", "a3")]
)
def test_another_key_is_another_draw(other: tuple) -> None:
    assert generator(*other).random() != generator(1, "view", "a", 3).random()
