from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from wbc.base.params import read_section
from wbc.models.params import BackboneParams
from wbc.train.features import extract_features, split_at_features
from wbc.train.params import TrainParams
from wbc.train.state import Examples, Trained
from wbc.train.training import train
from wbc.weights.pretrained import bring_weights

PARAMS_FILE = Path(__file__).parents[2] / "params.yaml"
LITE = read_section(BackboneParams, "models", "efficientnet_lite0", path=PARAMS_FILE).model_copy(
    update={"input": (32, 32), "head": "flatten_dense", "trainable": "none", "learning_rate": 0.01, "epochs": 3}
)
PARAMS = read_section(TrainParams, "train", path=PARAMS_FILE).model_copy(
    update={"views": 1, "patience": None, "flips": False}
)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pretrained")
    bring_weights(folder, model="efficientnet_lite0", weights="imagenet")
    return folder / "weights.npz"


def examples(count: int, *, seed: int) -> Examples:
    labels = np.arange(count) % 2
    noise = np.random.default_rng(seed).integers(0, 60, size=(count, 32, 32, 3))
    return Examples((noise + 150 * labels[:, None, None, None]).astype(np.uint8), np.arange(count), labels)


def run(folder: Path, *, pretrained: Path, model: BackboneParams = LITE, params: TrainParams = PARAMS) -> Trained:
    keras.utils.set_random_seed(3)
    return train(
        examples(20, seed=1),
        examples(10, seed=2),
        classes=2,
        model_name="efficientnet_lite0",
        model_params=model,
        train_params=params,
        pretrained=pretrained,
        checkpoint=folder / "state.npz",
        tensorboard=None,
        seed=3,
        checkpoint_seconds=0.0,
    )


def test_a_head_on_kept_features_learns_what_it_learns_behind_the_frozen_backbone(
    tmp_path: Path, pretrained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The loss is convex in the weights of this head: small steps do not amplify what two ways of summing differ by.
    linear = LITE.model_copy(update={"head": "linear", "optimizer": "sgd", "learning_rate": 0.05})
    kept = run(tmp_path / "kept", pretrained=pretrained, model=linear)
    monkeypatch.setattr("wbc.train.phases.split_at_features", lambda model: None)
    through = run(tmp_path / "through", pretrained=pretrained, model=linear)
    assert (tmp_path / "kept/training.npy").exists()
    assert not (tmp_path / "through/training.npy").exists()
    assert kept.history["loss"].iloc[-1] < kept.history["loss"].iloc[0] - 0.02
    losses = ["loss", "val_loss"]
    np.testing.assert_allclose(kept.history[losses], through.history[losses], atol=0.005)
    images = examples(10, seed=2).images
    np.testing.assert_allclose(kept.model.predict_on_batch(images), through.model.predict_on_batch(images), atol=0.005)


def test_a_later_try_takes_up_the_kept_features(tmp_path: Path, pretrained: Path) -> None:
    first = run(tmp_path, pretrained=pretrained)
    written = (tmp_path / "training.npy").stat().st_mtime_ns
    again = run(tmp_path, pretrained=pretrained)
    assert again.resumed_epochs == 3
    assert (tmp_path / "training.npy").stat().st_mtime_ns == written
    for left, right in zip(again.model.get_weights(), first.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


FINE_TUNED = LITE.model_copy(update={"trainable": "last 1", "epochs": 2})
PROBED = PARAMS.model_copy(update={"probe_epochs": 2, "probe_learning_rate": 0.004, "warm_up": 0})


@pytest.fixture(scope="module")
def probed(tmp_path_factory: pytest.TempPathFactory, pretrained: Path) -> Trained:
    return run(tmp_path_factory.mktemp("probed"), pretrained=pretrained, model=FINE_TUNED, params=PROBED)


def test_a_probe_trains_the_head_before_the_backbone_joins_in(
    tmp_path: Path, pretrained: Path, probed: Trained
) -> None:
    assert probed.history["epoch"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(probed.history["learning_rate"], [0.004, 0.002, 0.01, 0.005])
    alone = run(
        tmp_path,
        pretrained=pretrained,
        model=LITE.model_copy(update={"epochs": 2, "learning_rate": 0.004}),
        params=PROBED.model_copy(update={"probe_epochs": 0}),
    )
    pd.testing.assert_frame_equal(probed.history[:2], alone.history, check_exact=True)


def test_a_fine_tuning_that_only_spoils_leaves_the_probe(tmp_path: Path, pretrained: Path) -> None:
    spoilt = FINE_TUNED.model_copy(update={"learning_rate": 100.0})
    trained = run(tmp_path, pretrained=pretrained, model=spoilt, params=PROBED)
    assert trained.best_epoch <= 2
    validation = examples(10, seed=2)
    loss, _ = trained.model.evaluate(validation.images, np.eye(2)[validation.labels], verbose=0)
    assert loss == pytest.approx(trained.history["val_loss"].min(), rel=1e-3)


@pytest.mark.parametrize("epochs_before", [1, 3])
def test_a_training_killed_in_either_phase_goes_on_to_the_same_bytes(
    tmp_path: Path, pretrained: Path, probed: Trained, monkeypatch: pytest.MonkeyPatch, epochs_before: int
) -> None:
    def kill(row: list[float], **_: object) -> None:
        if row[0] == epochs_before:
            raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr("wbc.train.phases._report", kill)
        with pytest.raises(InterruptedError):
            run(tmp_path, pretrained=pretrained, model=FINE_TUNED, params=PROBED)
    resumed = run(tmp_path, pretrained=pretrained, model=FINE_TUNED, params=PROBED)
    assert resumed.resumed_epochs == epochs_before
    pd.testing.assert_frame_equal(resumed.history, probed.history, check_exact=True)
    for left, right in zip(resumed.model.get_weights(), probed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def small_model() -> keras.Model:
    image = keras.Input((4, 4, 3), dtype="uint8")
    features = keras.layers.Dense(5)(keras.layers.Rescaling(1 / 255)(image))
    marked = keras.layers.Identity(name="features")(features)
    return keras.Model(image, keras.layers.Dense(2)(keras.layers.Flatten()(marked)))


def test_a_model_is_split_where_its_backbone_ends() -> None:
    parts = split_at_features(small_model())
    assert parts is not None
    assert (parts.body.output_shape, parts.head.input_shape) == ((None, 4, 4, 5), (None, 4, 4, 5))


def test_a_model_without_a_backbone_is_not_split() -> None:
    image = keras.Input((4,))
    assert split_at_features(keras.Model(image, keras.layers.Dense(2)(image))) is None


def test_features_are_those_of_the_chosen_images_in_their_order(tmp_path: Path) -> None:
    parts = split_at_features(small_model())
    assert parts is not None
    images = np.random.default_rng(0).integers(0, 256, size=(150, 4, 4, 3), dtype=np.uint8)
    positions = np.arange(149, -1, -2)
    features = extract_features(parts.body, images, positions=positions, path=tmp_path / "features.npy")
    assert isinstance(features, np.memmap)
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, parts.body.predict_on_batch(images[positions]), atol=1e-5)
