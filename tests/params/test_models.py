import pytest

from wbc.params.base import ParamsError, validate
from wbc.params.models import MODEL_NAMES, ModelsParams

BLOCK = {
    "input": [160, 160],
    "weights": "random",
    "dropout": 0.0,
    "l2": 0.0,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "batch_size": 1,
    "epochs": 1,
}


def blocks(**changes):
    return dict.fromkeys(MODEL_NAMES, BLOCK) | {"efficientnet_lite0": BLOCK | changes}


def test_limits_themselves_are_accepted():
    params = validate(ModelsParams, blocks(input=[32, 64], weights="imagenet", optimizer="sgd")).efficientnet_lite0
    assert params.input == (32, 64)
    assert params.weights == "imagenet"


@pytest.mark.parametrize(
    "change",
    [
        {"input": [31, 160]},
        {"input": [160]},
        {"weights": "noisy-student"},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"l2": -1e-9},
        {"l2": float("inf")},
        {"optimizer": "adagrad"},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"batch_size": 0},
        {"epochs": 0},
        {"momentum": 0.9},
    ],
    ids=str,
)
def test_other_values_are_refused_by_name(change):
    with pytest.raises(ParamsError, match=rf"params\.yaml: models\.efficientnet_lite0\.{next(iter(change))}"):
        validate(ModelsParams, blocks(**change), where="models")


@pytest.mark.parametrize(
    ("model", "change"),
    [
        ("compact_cnn", {"weights": "imagenet"}),
        ("compact_cnn", {"input": [37, 160]}),
        ("leaky_cnn", {"weights": "imagenet"}),
        ("alexnet", {"weights": "imagenet"}),
        ("alexnet", {"input": [160, 66]}),
    ],
)
def test_what_a_model_cannot_do_is_refused(model, change):
    with pytest.raises(ParamsError, match=rf"models\.{model}\.{next(iter(change))}"):
        validate(ModelsParams, blocks() | {model: BLOCK | change}, where="models")


@pytest.mark.parametrize("change", [{"head": "pooled"}, {"trainable": "none"}], ids=str)
def test_a_choice_about_a_backbone_that_is_not_there_is_refused_with_the_reason(change):
    reason = rf"models\.leaky_cnn: {next(iter(change))} cannot be chosen: this network has no backbone"
    with pytest.raises(ParamsError, match=reason):
        validate(ModelsParams, blocks() | {"leaky_cnn": BLOCK | change}, where="models")


def test_an_unknown_model_is_refused():
    with pytest.raises(ParamsError, match=r"models\.vgg15"):
        validate(ModelsParams, blocks() | {"vgg15": BLOCK}, where="models")
