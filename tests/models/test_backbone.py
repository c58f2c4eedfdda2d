import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from wbc.backbones.weights import load_weights
from wbc.models.backbone import FEATURES, assemble, set_trainable

IMAGES = np.random.default_rng(0).normal(5, 3, (4, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def build(backbone_params, small_backbone):
    def build(*, pretrained=True, **changes):
        image = keras.Input((8, 8, 3))
        return assemble(
            "small",
            image=image,
            preprocessed=image,
            backbone=small_backbone(),
            classes=4,
            params=backbone_params(dropout=0.0, l2=0.0, **changes),
            pretrained=pretrained,
        )

    return build


def changed_by_training(model):
    """Train a few steps and return the names of the backbone's weights that are no longer the same."""
    weights = model.get_layer("backbone").weights
    before = [weight.numpy() for weight in weights]
    model.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    for _ in range(3):
        model.train_on_batch(IMAGES, np.array([0, 1, 2, 3]))
    changed = [not np.array_equal(weight.numpy(), then) for weight, then in zip(weights, before, strict=True)]
    return {weight.path for weight, has_changed in zip(weights, changed, strict=True) if has_changed}


CONVOLUTIONS = {f"conv{number}/{part}" for number in (0, 1) for part in ("kernel", "bias")}
SCALES = {f"norm{number}/{part}" for number in (0, 1) for part in ("gamma", "beta")}
STATISTICS = {f"norm{number}/moving_{part}" for number in (0, 1) for part in ("mean", "variance")}


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("none", set()),
        ("all", CONVOLUTIONS | SCALES | STATISTICS),
        ("last 1", {"conv1/kernel", "conv1/bias"}),
        ("last 2", CONVOLUTIONS),
        ("only batch norm", SCALES | STATISTICS),
        ("all but batch norm", CONVOLUTIONS),
    ],
)
def test_of_a_pretrained_backbone_the_chosen_trains_and_nothing_else(build, trainable, expected):
    assert changed_by_training(build(trainable=trainable)) == expected


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("none", set()),
        ("all", CONVOLUTIONS | SCALES | STATISTICS),
        ("all but batch norm", CONVOLUTIONS | SCALES | STATISTICS),
        ("only batch norm", SCALES | STATISTICS),
        ("last 1", {"conv1/kernel", "conv1/bias"} | SCALES | STATISTICS),
    ],
)
def test_batch_normalisation_that_has_never_seen_an_image_trains(build, trainable, expected):
    assert changed_by_training(build(trainable=trainable, pretrained=False)) == expected


def test_more_layers_than_there_are_cannot_train(small_backbone):
    with pytest.raises(ValueError, match="trainable: last 3: there are 2 layers with weights, set it to all"):
        set_trainable(small_backbone(), trainable="last 3", pretrained=True)


@pytest.mark.parametrize("head", ["pooled", "flatten_dense"])
def test_body_and_head_meet_at_the_features(build, tmp_path, head):
    build(head=head, trainable="none").save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    features = model.get_layer(FEATURES).output
    body, top = keras.Model(model.input, features), keras.Model(features, model.output)
    assert body.output_shape == (None, 4, 4, 4)
    assert body.count_params() == model.get_layer("backbone").count_params() == 112 + 16 + 148 + 16
    np.testing.assert_array_equal(top(body(IMAGES)), model(IMAGES))


def test_a_frozen_backbone_gives_the_same_features_in_training(build):
    model = build(trainable="none", pretrained=False)
    body = keras.Model(model.input, model.get_layer(FEATURES).output)
    np.testing.assert_array_equal(body(IMAGES, training=True), body(IMAGES, training=False))


@pytest.fixture
def save(tmp_path):
    def save(network, name):
        """Write the weights of ``network`` in the format of the file's name and return its path."""
        path = tmp_path / name
        if name.endswith(".weights.h5"):
            network.save_weights(path)
        else:
            with h5py.File(path, "w") as file:
                save_weights_to_hdf5_group(file, network)
        return path

    return save


FORMATS = ["weights.h5", "backbone.weights.h5"]


@pytest.mark.parametrize("name", FORMATS)
def test_weights_are_those_of_the_file(small_backbone, save, name):
    source, target = small_backbone(), small_backbone()
    load_weights(target, save(source, name))
    for loaded, saved in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, saved)


@pytest.mark.parametrize("name", FORMATS)
def test_weights_of_another_shape_are_refused(small_backbone, save, name):
    with pytest.raises(ValueError, match=rf"(?s){name} does not fit this backbone: .*shape"):
        load_weights(small_backbone(), save(small_backbone(channels=5), name))


@pytest.mark.parametrize("name", FORMATS)
def test_weights_of_fewer_layers_are_refused(small_backbone, save, name):
    network = small_backbone()
    part = keras.Model(network.input, network.get_layer("conv1").output)
    with pytest.raises(ValueError, match=f"{name} does not fit this backbone: "):
        load_weights(small_backbone(), save(part, name))


def test_a_layer_that_a_file_leaves_as_it_was_is_refused(small_backbone, save):
    network = small_backbone()
    network.get_layer("norm1").gamma.assign(np.full(4, np.nan))
    with pytest.raises(ValueError, match="does not fit this backbone: nothing for norm1/gamma"):
        load_weights(small_backbone(), save(network, "weights.h5"))
