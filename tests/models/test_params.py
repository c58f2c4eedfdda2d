import json

import pytest

from wbc.base.params import ParamsError, validate
from wbc.models.params import MODEL_NAMES, BackboneParams, ModelsParams, read_model

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


BACKBONE_BLOCK = BLOCK | {"weights": "imagenet", "head": "pooled", "trainable": "all"}
FROM_SCRATCH = ("compact_cnn", "leaky_cnn", "alexnet")


def blocks(**changes):
    """Return one valid block for each model, with ``changes`` in that of efficientnet_lite0."""
    plain = {name: BLOCK if name in FROM_SCRATCH else BACKBONE_BLOCK for name in MODEL_NAMES}
    custom = BLOCK | {"weights": "as built", "build": "own.network:build", "options": {}}
    return plain | {"custom": custom, "efficientnet_lite0": BACKBONE_BLOCK | changes}


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
        {"weights": "own.h5"},
        {"weights": f"own.h5#sha256={63 * '0'}"},
        {"weights": f"own.pth#sha256={64 * '0'}"},
        {"dropout": 1.0},
        {"dropout": -0.1},
        {"l2": -1e-9},
        {"l2": float("inf")},
        {"optimizer": "adagrad"},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"batch_size": 0},
        {"epochs": 0},
        {"head": "average"},
        {"trainable": "last 0"},
        {"trainable": "last"},
        {"trainable": "some"},
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
        ("inceptionv3", {"input": [160, 74]}),
        ("custom", {"build": "own/network.py"}),
        ("custom", {"weights": "imagenet"}),
        ("vgg16", {"trainable": "only batch norm"}),
        ("convnext_tiny", {"trainable": "all but batch norm"}),
    ],
)
def test_what_a_model_cannot_do_is_refused(model, change):
    with pytest.raises(ParamsError, match=rf"models\.{model}\.{next(iter(change))}"):
        validate(ModelsParams, blocks() | {model: blocks()[model] | change}, where="models")


@pytest.mark.parametrize(
    "weights",
    ["auto", "imagenet", "random", f"own.h5#sha256={64 * 'a'}", f"https://x.org/w.h5#sha256={64 * '0'}"],
)
def test_weights_may_come_from_anywhere_with_their_hash(weights):
    assert validate(ModelsParams, blocks(weights=weights)).efficientnet_lite0.weights == weights


@pytest.mark.parametrize("trainable", ["none", "all", "last 1", "last 120", "only batch norm", "all but batch norm"])
def test_every_part_of_a_pretrained_backbone_may_train(trainable):
    assert validate(ModelsParams, blocks(trainable=trainable)).efficientnet_lite0.trainable == trainable


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"weights": "random", "trainable": "none"}, "none would leave random weights as they are: set it to all"),
        ({"weights": "random", "trainable": "last 3"}, "last 3 would leave random weights as they are"),
        ({"head": "linear", "dropout": 0.1}, "head: linear has no dropout: set dropout to 0, or head to pooled"),
    ],
)
def test_a_combination_that_makes_no_sense_is_refused_with_the_reason(changes, reason):
    with pytest.raises(ParamsError, match=rf"models\.efficientnet_lite0: .*{reason}"):
        validate(ModelsParams, blocks(**changes), where="models")


@pytest.mark.parametrize("change", [{"head": "pooled"}, {"trainable": "none"}], ids=str)
def test_a_choice_about_a_backbone_that_is_not_there_is_refused_with_the_reason(change):
    reason = rf"models\.leaky_cnn: {next(iter(change))} cannot be chosen: this network has no backbone"
    with pytest.raises(ParamsError, match=reason):
        validate(ModelsParams, blocks() | {"leaky_cnn": BLOCK | change}, where="models")


def test_an_unknown_model_is_refused():
    with pytest.raises(ParamsError, match=r"models\.vgg15"):
        validate(ModelsParams, blocks() | {"vgg15": BLOCK}, where="models")


def test_the_block_of_one_model_is_read_by_its_own_rules(tmp_path):
    (tmp_path / "params.yaml").write_text(f"models:\n  vgg16: {json.dumps(BACKBONE_BLOCK)}\n")
    params = read_model("vgg16", path=tmp_path / "params.yaml")
    assert isinstance(params, BackboneParams)
    assert params.head == "pooled"
    with pytest.raises(ParamsError, match=r"models\.resnet50 is missing"):
        read_model("resnet50", path=tmp_path / "params.yaml")
    with pytest.raises(ParamsError, match=r"models\.vgg15 is missing"):
        read_model("vgg15", path=tmp_path / "params.yaml")
