import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from wbc.backbones.efficientnet_lite import SIZES, build_backbone
from wbc.backbones.preprocessing import preprocess
from wbc.models.backbone import build
from wbc.weights.pretrained import bring_weights


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pretrained")
    bring_weights(folder, model="efficientnet_lite0", weights="imagenet")
    return folder / "weights.npz"


def batch_norm_layers(model):
    return [layer for layer in model.get_layer("backbone").layers if isinstance(layer, keras.layers.BatchNormalization)]


def train_one_step(model):
    model.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    images = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)
    model.train_on_batch(images, np.array([0, 1, 2, 3]))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("efficientnet_lite0", 3_413_024), ("efficientnet_lite1", 4_189_344), ("efficientnet_lite2", 4_869_168)],
)
def test_backbone_has_the_published_number_of_parameters(name, parameters):
    network = build_backbone(name, size=(160, 160), pretrained=None)
    assert network.output_shape == (None, 5, 5, 1280)
    assert network.count_params() == parameters


def test_features_are_those_of_the_same_network_in_torch(pretrained):
    image = keras.Input((65, 98, 3), dtype="uint8")
    network = build_backbone("efficientnet_lite0", size=(65, 98), pretrained=pretrained)
    model = keras.Model(image, network(preprocess(image, mode="torch", size=(65, 98))))
    features = model.predict((np.arange(65 * 98 * 3) * 7 % 256).astype(np.uint8).reshape(1, 65, 98, 3), verbose=0)
    assert features.shape == (1, 3, 4, 1280)
    # Printed by a float64 forward pass written with torch 2.13's functions and TensorFlow's «same» padding.
    assert features.mean() == pytest.approx(0.40975369, abs=1e-5)
    assert features.std() == pytest.approx(1.18280119, abs=1e-5)
    np.testing.assert_allclose(
        features.mean(axis=(0, 1, 2))[[670, 29, 1169, 566, 915]],
        [5.61973, 5.59824, 5.36371, 5.22909, 5.19959],
        atol=1e-4,
    )


def imagenet_top_five(photograph, *, name, pretrained):
    """Classify the middle square of a photograph of scikit-learn's by the backbone and the weights' own classifier."""
    image = keras.Input((427, 427, 3), dtype="uint8")
    network = build_backbone(name, size=(224, 224), pretrained=pretrained)
    features = network(preprocess(image, mode="torch", size=(224, 224)))
    pooled = keras.Model(image, keras.layers.GlobalAveragePooling2D()(features))
    with np.load(pretrained) as tensors:
        scores = pooled.predict(photograph[None, :, 106:533], verbose=0) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
    return np.argsort(-scores[0])[:5].tolist()


@pytest.mark.parametrize("name", SIZES)
def test_a_temple_is_a_building(name, tmp_path):
    bring_weights(tmp_path, model=name, weights="imagenet")
    bell_cote, palace, castle, church, dome, monastery, beacon = 442, 698, 483, 497, 538, 663, 449
    temple = load_sample_image("china.jpg")
    top_five = imagenet_top_five(temple, name=name, pretrained=tmp_path / "weights.npz")
    assert set(top_five) <= {bell_cote, palace, castle, church, dome, monastery, beacon}


def test_a_dahlia_is_a_daisy(pretrained):
    dahlia = load_sample_image("flower.jpg")
    assert imagenet_top_five(dahlia, name="efficientnet_lite0", pretrained=pretrained)[0] == 985


def test_pretrained_batch_normalisation_stays_as_it_is(pretrained, backbone_params):
    model = build(
        "efficientnet_lite0", image_shape=(64, 64, 3), classes=4, params=backbone_params(), pretrained=pretrained
    )
    before = [layer.get_weights() for layer in batch_norm_layers(model)]
    stem = model.get_layer("backbone").get_layer("conv_stem").get_weights()[0]
    train_one_step(model)
    assert len(before) == 49
    for layer, weights in zip(batch_norm_layers(model), before, strict=True):
        for now, then in zip(layer.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(now, then)
    assert not np.array_equal(model.get_layer("backbone").get_layer("conv_stem").get_weights()[0], stem)


def test_random_batch_normalisation_trains(backbone_params):
    model = build("efficientnet_lite0", image_shape=(64, 64, 3), classes=4, params=backbone_params(), pretrained=None)
    train_one_step(model)
    for part in model.get_layer("backbone").get_layer("bn0").get_weights():
        assert len(np.unique(part)) > 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("_bn1.running_var"), "layer 'bn1' with a weight list of length 3"),
        (lambda tensors: tensors.update({"_blocks.16._bn0.bias": np.zeros(3, np.float32)}), "no layer for blocks.16"),
        (
            lambda tensors: tensors.update({"_conv_stem.weight": np.zeros((32, 3, 5, 5), np.float32)}),
            "conv_stem weight",
        ),
    ],
    ids=["missing", "surplus", "wrong-shape"],
)
def test_weights_that_do_not_fit_are_refused(pretrained, tmp_path, change, message, backbone_params):
    with np.load(pretrained) as file:
        tensors = dict(file)
    change(tensors)
    np.savez(tmp_path / "weights.npz", **tensors)
    with pytest.raises(ValueError, match=message):
        build(
            "efficientnet_lite0",
            image_shape=(64, 64, 3),
            classes=4,
            params=backbone_params(),
            pretrained=tmp_path / "weights.npz",
        )


def test_weights_may_come_as_a_file_of_keras(pretrained, tmp_path):
    network = build_backbone("efficientnet_lite0", size=(64, 64), pretrained=pretrained)
    network.save_weights(tmp_path / "backbone.weights.h5")
    other = build_backbone("efficientnet_lite0", size=(64, 64), pretrained=tmp_path / "backbone.weights.h5")
    np.testing.assert_array_equal(other.get_layer("bn1").gamma, network.get_layer("bn1").gamma)
