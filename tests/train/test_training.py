import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pandas as pd
import pytest

from wbc.inference.ensemble import networks_of
from wbc.models.params import ModelParams
from wbc.train.epochs import mix
from wbc.train.losses import generalised_cross_entropy
from wbc.train.model_file import save_model
from wbc.train.orientations import orient
from wbc.train.params import TrainParams
from wbc.train.schedule import learning_rate
from wbc.train.state import HISTORY, Examples, Trained, best_epoch
from wbc.train.training import describe_training, train

MODEL = ModelParams(
    input=(40, 40),
    weights="random",
    dropout=0.5,
    l2=0.0,
    optimizer="adam",
    learning_rate=0.01,
    batch_size=8,
    epochs=4,
)
TRAIN = TrainParams(
    networks=1,
    views=1,
    probe_epochs=0,
    probe_learning_rate=0.001,
    schedule="cosine",
    warm_up=1,
    patience=None,
    loss="cross_entropy",
    label_smoothing=0.1,
    class_weights=False,
    mixup=0.0,
    averaging=0.0,
    accumulate=1,
    flips=True,
    mixed_precision=False,
    temperature=False,
    tensorboard=False,
)
THREE = TRAIN.model_copy(update={"networks": 3})
TWO = TRAIN.model_copy(update={"networks": 2})


def discs(count: int, *, seed: int) -> Examples:
    """Return dark and bright pictures of 40x40 px, class 0 and 1 in turn."""
    labels = np.arange(count) % 2
    noise = np.random.default_rng(seed).integers(0, 60, size=(count, 40, 40, 3))
    return Examples((noise + 150 * labels[:, None, None, None]).astype(np.uint8), np.arange(count), labels)


def run(
    checkpoint: Path, *, model: ModelParams = MODEL, params: TrainParams = TRAIN, checkpoint_seconds: float = 0.0
) -> Trained:
    keras.utils.set_random_seed(3)
    return train(
        discs(20, seed=1),
        discs(8, seed=2),
        classes=2,
        model_name="compact_cnn",
        model_params=model,
        train_params=params,
        pretrained=None,
        checkpoint=checkpoint,
        tensorboard=checkpoint.parent / "board" if params.tensorboard else None,
        seed=3,
        checkpoint_seconds=checkpoint_seconds,
    )


def test_training_learns_what_is_easy_and_writes_one_row_for_each_epoch(tmp_path: Path) -> None:
    trained = run(tmp_path / "state.npz", model=MODEL.model_copy(update={"epochs": 10, "dropout": 0.0}))
    assert list(trained.history.columns) == HISTORY
    assert trained.history["epoch"].tolist() == list(range(1, 11))
    assert trained.history["val_accuracy"].iloc[-1] == 1.0
    assert trained.resumed_epochs == 0


def test_the_model_is_that_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    trained = run(tmp_path / "state.npz", model=MODEL.model_copy(update={"learning_rate": 0.05, "epochs": 6}))
    validation = discs(8, seed=2)
    loss, _ = trained.model.evaluate(validation.images, np.eye(2)[validation.labels], verbose=0)
    assert loss == pytest.approx(trained.history["val_loss"].min(), rel=1e-5)
    assert describe_training(trained)["best_epoch"] == trained.history["val_loss"].idxmin() + 1


def test_three_networks_give_the_mean_of_their_probabilities(tmp_path: Path) -> None:
    single, three = run(tmp_path / "single.npz"), run(tmp_path / "state.npz", params=THREE)
    images = discs(8, seed=2).images
    networks = networks_of(three.model)
    probabilities = np.stack([network.predict(images, verbose=0) for network in networks])
    np.testing.assert_allclose(three.model.predict(images, verbose=0), probabilities.mean(axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(probabilities[0], single.model.predict(images, verbose=0))
    assert len(np.unique(probabilities[:, 0, 0])) == 3
    assert three.history["epoch"].tolist() == list(range(1, 13))
    pd.testing.assert_frame_equal(three.history[:4], single.history, check_exact=True)
    log_loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    truth = np.eye(2)[discs(8, seed=2).labels]
    assert three.validation["loss"] == pytest.approx(float(log_loss(truth, probabilities.mean(axis=0))), rel=1e-5)
    assert describe_training(three)["networks"] == 3
    assert describe_training(three)["parameters"] == 3 * describe_training(single)["parameters"]


def test_eight_views_of_a_network_that_is_trained_as_with_one(tmp_path: Path) -> None:
    single = run(tmp_path / "single.npz")
    eight = run(tmp_path / "state.npz", params=TRAIN.model_copy(update={"views": 8}))
    images, truth = discs(8, seed=2).images, np.eye(2)[discs(8, seed=2).labels]
    turned = [orient(images, positions=np.full(8, position)) for position in range(8)]
    mean = np.mean([single.model.predict(look, verbose=0) for look in turned], axis=0)
    np.testing.assert_allclose(eight.model.predict(images, verbose=0), mean, rtol=1e-4, atol=1e-6)
    pd.testing.assert_frame_equal(eight.history, single.history, check_exact=True)
    log_loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)
    assert eight.validation["loss"] == pytest.approx(float(log_loss(truth, mean)), rel=1e-5)
    assert describe_training(eight) == describe_training(single) | {
        f"validation_{name}": value for name, value in eight.validation.items()
    }


class KilledError(Exception):
    pass


@pytest.mark.parametrize(("epochs_before", "averaging"), [(1, 0.0), (3, 0.0), (2, 0.9)])
def test_a_killed_training_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epochs_before: int, averaging: float
) -> None:
    params = TRAIN.model_copy(update={"averaging": averaging})
    whole = run(tmp_path / "whole.npz", params=params)
    with monkeypatch.context() as patch:
        patch.setattr("wbc.train.phases._report", killed_after(epochs_before))
        with pytest.raises(KilledError):
            run(tmp_path / "killed.npz", params=params)
    resumed = run(tmp_path / "killed.npz", params=params)
    assert resumed.resumed_epochs == epochs_before
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    for left, right in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_training_killed_in_its_second_network_ends_with_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "whole" / "state.npz", params=TWO)
    with monkeypatch.context() as patch:
        patch.setattr("wbc.train.phases._report", killed_after(3, times=2))
        with pytest.raises(KilledError):
            run(tmp_path / "killed" / "state.npz", params=TWO)
    resumed = run(tmp_path / "killed" / "state.npz", params=TWO)
    assert resumed.resumed_epochs == 4 + 3
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    for left, right in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_between_the_first_and_the_last_epoch_checkpoints_wait_for_their_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour = 3600.0
    whole = run(tmp_path / "whole.npz", checkpoint_seconds=hour)
    with monkeypatch.context() as patch:
        patch.setattr("wbc.train.phases._report", killed_after(3))
        with pytest.raises(KilledError):
            run(tmp_path / "killed.npz", checkpoint_seconds=hour)
    resumed = run(tmp_path / "killed.npz", checkpoint_seconds=hour)
    assert resumed.resumed_epochs == 1
    pd.testing.assert_frame_equal(resumed.history, whole.history, check_exact=True)
    for left, right in zip(resumed.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    assert run(tmp_path / "killed.npz", checkpoint_seconds=hour).resumed_epochs == 4


def test_a_training_that_lost_its_patience_is_kept_as_it_ended(tmp_path: Path) -> None:
    still = MODEL.model_copy(update={"learning_rate": 1e-12, "epochs": 20, "dropout": 0.0})
    params = TRAIN.model_copy(update={"patience": 3})
    ended = run(tmp_path / "state.npz", model=still, params=params, checkpoint_seconds=3600.0)
    again = run(tmp_path / "state.npz", model=still, params=params, checkpoint_seconds=3600.0)
    assert again.resumed_epochs == len(ended.history) < 20


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_a_saved_model_asks_for_nothing_of_this_project(tmp_path: Path, optimizer: str) -> None:
    trained = run(tmp_path / "state.npz", model=MODEL.model_copy(update={"optimizer": optimizer, "epochs": 1}))
    save_model(trained.model, tmp_path / "model.keras")
    images = discs(2, seed=2).images
    np.save(tmp_path / "images.npy", images)
    code = (
        "import keras, numpy as np; model = keras.saving.load_model('model.keras');"
        "np.save('probabilities.npy', model.predict(np.load('images.npy'), verbose=0))"
    )
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)
    expected = trained.model.predict(images, verbose=0)
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, rtol=1e-4)


def killed_after(epochs: int, *, times: int = 1) -> Callable[..., None]:
    """Return what kills a training when it reports so many epochs for the last of so many ``times``."""
    remaining = times

    def report(row: list[float], **_: object) -> None:
        nonlocal remaining
        remaining -= row[0] == epochs
        if not remaining:
            raise KilledError

    return report


def test_patience_ends_a_training_that_no_longer_improves(tmp_path: Path) -> None:
    still = MODEL.model_copy(update={"learning_rate": 1e-12, "epochs": 20, "dropout": 0.0})
    trained = run(tmp_path / "state.npz", model=still, params=TRAIN.model_copy(update={"patience": 3}))
    assert len(trained.history) - trained.best_epoch == 3


@pytest.mark.parametrize(
    ("epoch", "schedule", "expected"),
    [
        (0, "cosine", 0.01 / 3),
        (1, "cosine", 0.02 / 3),
        (2, "cosine", 0.01),
        (6, "cosine", 0.005),
        (6, "constant", 0.01),
    ],
)
def test_learning_rate_rises_then_follows_the_schedule(epoch: int, schedule: str, expected: float) -> None:
    params = TRAIN.model_copy(update={"warm_up": 2, "schedule": schedule})
    assert learning_rate(epoch, peak=0.01, epochs=10, params=params) == pytest.approx(expected)


def test_tensorboard_logs_are_written_on_request(tmp_path: Path) -> None:
    run(tmp_path / "state.npz", params=TRAIN.model_copy(update={"tensorboard": True}))
    [log] = (tmp_path / "board").iterdir()
    assert log.name.startswith("events.out.tfevents")
    assert b"val_accuracy" in log.read_bytes()


def test_mixup_blends_images_and_labels_by_the_same_share() -> None:
    images = np.stack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)])
    for seed in range(5):
        mixed, targets = mix(images, np.eye(2, dtype=np.float32), alpha=0.4, draws=np.random.default_rng(seed))
        np.testing.assert_allclose(mixed[:, 0, 0, 0], 200 * targets[:, 1], atol=0.5)
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-6)


def test_accumulated_batches_step_like_one_large_batch(tmp_path: Path) -> None:
    plain = {"optimizer": "sgd", "dropout": 0.0, "epochs": 1, "l2": 0.0}
    large = MODEL.model_copy(update={**plain, "batch_size": 20})
    small = MODEL.model_copy(update={**plain, "batch_size": 10})
    params = TRAIN.model_copy(update={"flips": False, "warm_up": 0})
    whole = run(tmp_path / "whole.npz", model=large, params=params)
    parts = run(tmp_path / "parts.npz", model=small, params=params.model_copy(update={"accumulate": 2}))
    for left, right in zip(whole.model.get_weights(), parts.model.get_weights(), strict=True):
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_more_accumulated_batches_than_there_are_is_refused(tmp_path: Path) -> None:
    reason = "train.accumulate: 13 batches are more than the 12 of 4 epochs, so that no weight would move: set it to at"
    with pytest.raises(ValueError, match=reason):
        run(tmp_path / "state.npz", params=TRAIN.model_copy(update={"accumulate": 13}))


def test_the_running_mean_of_the_weights_is_kept_and_does_not_disturb_the_training(tmp_path: Path) -> None:
    # Two steps without dropout: the mean starts from the weights after the first, and is 0.75 of them and 0.25 of the
    # weights after the second, which are those that the same training without a mean ends with.
    plain = MODEL.model_copy(update={"dropout": 0.0, "epochs": 1, "batch_size": 10})
    params = TRAIN.model_copy(update={"flips": False, "warm_up": 0})
    after_two = run(tmp_path / "two.npz", model=plain, params=params).model.get_weights()
    averaged = run(tmp_path / "mean.npz", model=plain, params=params.model_copy(update={"averaging": 0.75}))
    faster = run(tmp_path / "faster.npz", model=plain, params=params.model_copy(update={"averaging": 0.5}))
    for mean, other, last in zip(averaged.model.get_weights(), faster.model.get_weights(), after_two, strict=True):
        np.testing.assert_allclose(last - mean, 1.5 * (last - other), atol=1e-6)
    assert averaged.history["loss"].tolist() == faster.history["loss"].tolist()
    assert averaged.history["val_loss"].tolist() != faster.history["val_loss"].tolist()


def test_focal_loss_makes_little_of_what_is_learnt(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain.npz")
    focal = run(tmp_path / "focal.npz", params=TRAIN.model_copy(update={"loss": "focal"}))
    assert focal.history["val_loss"].iloc[0] < 0.5 * plain.history["val_loss"].iloc[0]


def test_generalised_cross_entropy_is_that_of_the_paper() -> None:
    truth, probabilities = np.array([[1, 0], [0, 1]], np.float32), np.array([[0.5, 0.5], [0.9, 0.1]], np.float32)
    expected = [(1 - 0.5**0.7) / 0.7, (1 - 0.1**0.7) / 0.7]
    np.testing.assert_allclose(generalised_cross_entropy(0.0)(truth, probabilities), expected, rtol=1e-6)
    smoothed = [expected[0], 0.9 * (1 - 0.1**0.7) / 0.7 + 0.1 * (1 - 0.9**0.7) / 0.7]
    np.testing.assert_allclose(generalised_cross_entropy(0.2)(truth, probabilities), smoothed, rtol=1e-6)


def test_generalised_cross_entropy_trains(tmp_path: Path) -> None:
    robust = run(tmp_path / "state.npz", params=TRAIN.model_copy(update={"loss": "generalised_cross_entropy"}))
    assert robust.history["val_loss"].between(0, 1 / 0.7).all()
    assert robust.history["val_loss"].iloc[-1] < 0.7 * robust.history["val_loss"].iloc[0]


def test_best_epoch_is_the_first_of_equals() -> None:
    assert best_epoch(pd.DataFrame({"epoch": [1, 2, 3], "val_loss": [0.5, 0.3, 0.3]})) == 2


def test_class_weights_make_every_class_weigh_the_same(tmp_path: Path) -> None:
    # Ten images of one class and two of the other: 12 / (2 * 10) and 12 / (2 * 2), while the weights hardly move.
    images = discs(20, seed=1)
    keep = np.r_[np.flatnonzero(images.labels == 0), np.flatnonzero(images.labels == 1)[:2]]
    keras.utils.set_random_seed(3)
    trained = train(
        Examples(images.images, keep, images.labels[keep]),
        discs(8, seed=2),
        classes=2,
        model_name="compact_cnn",
        model_params=MODEL.model_copy(update={"epochs": 1, "dropout": 0.0, "learning_rate": 1e-12}),
        train_params=TRAIN.model_copy(update={"class_weights": True, "flips": False, "warm_up": 0}),
        pretrained=None,
        checkpoint=tmp_path / "state.npz",
        tensorboard=None,
        seed=3,
    )
    probabilities = trained.model.predict(images.images[keep], verbose=0)
    smooth = np.eye(2)[images.labels[keep]] * 0.9 + 0.05
    losses = -(smooth * np.log(probabilities)).sum(axis=1)
    assert trained.history["loss"].iloc[0] == pytest.approx(np.average(losses * ([0.6] * 10 + [3.0] * 2)), rel=1e-4)


class Watched(np.ndarray):
    """Images that note in ``asked`` which of them are read."""

    asked: ClassVar[list[np.ndarray]] = []

    def __getitem__(self, key: object) -> object:
        self.asked.append(np.array(key))
        return super().__getitem__(key)  # type: ignore[call-overload]


def test_every_epoch_shows_every_image_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    training, Watched.asked = discs(20, seed=1), []
    train(
        training._replace(images=training.images.view(Watched)),
        discs(8, seed=2),
        classes=2,
        model_name="compact_cnn",
        model_params=MODEL.model_copy(update={"epochs": 3}),
        train_params=TRAIN,
        pretrained=None,
        checkpoint=tmp_path / "state.npz",
        tensorboard=None,
        seed=3,
    )
    orders = [np.concatenate(Watched.asked[start : start + 3]).tolist() for start in range(0, 9, 3)]
    assert [sorted(order) for order in orders] == 3 * [list(range(20))]
    assert len({tuple(order) for order in [*orders, range(20)]}) == 4


def test_class_weights_of_equal_classes_are_said_to_change_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weighted = TRAIN.model_copy(update={"class_weights": True, "warm_up": 0})
    run(tmp_path / "state.npz", model=MODEL.model_copy(update={"epochs": 1}), params=weighted)
    assert "note: train.class_weights changes nothing, for the classes are of the same size" in capsys.readouterr().err
