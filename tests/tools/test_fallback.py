import pytest

from wbc.tools.fallback import warn_if_fallen_back


def test_random_weights_that_were_not_asked_for_are_boxed(capsys):
    warn_if_fallen_back({"weights_requested": "auto", "weights_used": "random"}, model="vgg16")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("╭")
    text = " ".join(printed.err.replace("│", "").split())
    assert "vgg16 starts from RANDOM weights: its pretrained ones could not be had" in text
    assert "dvc repro --force --single-item weights" in text


@pytest.mark.parametrize(("requested", "used"), [("auto", "imagenet"), ("random", "random"), ("imagenet", "imagenet")])
def test_nothing_is_said_where_the_weights_are_those_asked_for(capsys, requested, used):
    warn_if_fallen_back({"weights_requested": requested, "weights_used": used}, model="vgg16")
    assert capsys.readouterr().err == ""
