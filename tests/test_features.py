from pathlib import Path

import keras
import numpy as np
import pytest

from wbc.features import extract_features, split_frozen
from wbc.params.base import read_section
from wbc.params.models import BackboneParams
from wbc.params.train import TrainParams
from wbc.pretrained import bring_weights
from wbc.training import Examples, Trained, train

PARAMS_FILE = Path(__file__).parents[1] / "params.yaml"
LITE = read_section(BackboneParams, "models", "efficientnet_lite0", path=PARAMS_FILE).model_copy(
    update={"input": (32, 32), "head": "flatten_dense", "trainable": "none", "learning_rate": 0.01, "epochs": 3}
)
PARAMS = read_section(TrainParams, "train", path=PARAMS_FILE).model_copy(update={"patience": None, "flips": False})


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    bring_weights(folder, model="efficientnet_lite0", weights="imagenet")
    return folder / "weights.npz"


def examples(count: int, *, seed: int) -> Examples:
    labels = np.arange(count) % 2
    noise = np.random.default_rng(seed).integers(0, 60, size=(count, 32, 32, 3))
    return Examples((noise + 150 * labels[:, None, None, None]).astype(np.uint8), labels)


def run(folder: Path, *, pretrained: Path, model: BackboneParams = LITE) -> Trained:
    keras.utils.set_random_seed(3)
    return train(
        examples(20, seed=1),
        examples(10, seed=2),
        classes=2,
        model_name="efficientnet_lite0",
        model_params=model,
        train_params=PARAMS,
        pretrained=pretrained,
        checkpoint=folder / "state.npz",
        tensorboard=None,
        seed=3,
    )


def test_a_head_on_kept_features_learns_what_it_learns_behind_the_frozen_backbone(
    tmp_path: Path, pretrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = run(tmp_path / "kept", pretrained=pretrained)
    monkeypatch.setattr("wbc.training.split_frozen", lambda model: None)
    through = run(tmp_path / "through", pretrained=pretrained)
    assert (tmp_path / "kept/training.npy").exists()
    assert not (tmp_path / "through/training.npy").exists()
    np.testing.assert_allclose(kept.history, through.history, rtol=1e-3)
    images = examples(10, seed=2).images
    np.testing.assert_allclose(kept.model.predict_on_batch(images), through.model.predict_on_batch(images), atol=1e-3)


def test_a_later_try_takes_up_the_kept_features(tmp_path: Path, pretrained: Path) -> None:
    first = run(tmp_path, pretrained=pretrained)
    written = (tmp_path / "training.npy").stat().st_mtime_ns
    again = run(tmp_path, pretrained=pretrained)
    assert again.resumed_epochs == 3
    assert (tmp_path / "training.npy").stat().st_mtime_ns == written
    for left, right in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def small_model(*, frozen: bool) -> keras.Model:
    image = keras.Input((4, 4, 3), dtype="uint8")
    features = keras.layers.Dense(5)(keras.layers.Rescaling(1 / 255)(image))
    marked = keras.layers.Identity(name="features")(features)
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(marked)))
    model.layers[2].trainable = not frozen
    return model


def test_only_a_frozen_body_is_split_off() -> None:
    assert split_frozen(small_model(frozen=False)) is None
    parts = split_frozen(small_model(frozen=True))
    assert parts is not None
    assert (parts.body.output_shape, parts.head.input_shape) == ((None, 4, 4, 5), (None, 4, 4, 5))


def test_features_are_those_of_all_images_in_order(tmp_path: Path) -> None:
    parts = split_frozen(small_model(frozen=True))
    assert parts is not None
    images = np.random.default_rng(0).integers(0, 256, size=(70, 4, 4, 3), dtype=np.uint8)
    features = extract_features(parts.body, images, path=tmp_path / "features.npy")
    assert isinstance(features, np.memmap)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, parts.body.predict_on_batch(images), atol=1e-5)
