"""One pass over the training part, and one over the validation part."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from wbc.base.draws import generator
from wbc.data.arrays import Image
from wbc.train.orientations import count_orientations, orient
from wbc.train.state import Examples, Phase


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Lend ``model`` the running mean of its weights (Polyak & Juditsky 1992), which its optimizer keeps."""
    weights = model.get_weights()
    model.optimizer.finalize_variable_values(model.trainable_variables)
    yield
    model.set_weights(weights)


def weigh_classes(labels: NDArray[np.integer], *, classes: int) -> dict[int, float]:
    """Return the weight of each class so that every class weighs the same and the mean over images is 1."""
    counts = np.bincount(labels, minlength=classes)
    return {index: len(labels) / (classes * max(int(count), 1)) for index, count in enumerate(counts)}


def fit_epoch(
    phase: Phase,
    *,
    epoch: int,
    title: str,
    batch_size: int,
    mixup: float,
    class_weights: dict[int, float] | None,
    seed: int,
) -> dict[str, float]:
    """Show every image once, in the order of (seed, epoch), and return the mean loss and accuracy."""
    order = generator(seed, "order", epoch).permutation(len(phase.training.labels))
    draws = generator(seed, "views", epoch)
    batches = _batches(phase.training, order=order, size=batch_size, classes=phase.learner.output_shape[-1])
    total: Counter[str] = Counter()
    with tqdm(total=len(order), desc=title, unit="image", leave=False, disable=None) as bar:
        for images, targets in batches:
            if phase.flips:
                images = orient(images, positions=draws.integers(count_orientations(images), size=len(images)))
            if mixup:
                images, targets = mix(images, targets, alpha=mixup, draws=draws)
            logs = phase.learner.train_on_batch(images, targets, class_weight=class_weights, return_dict=True)
            total.update({name: len(images) * float(value) for name, value in logs.items()})
            bar.update(len(images))
            bar.set_postfix(loss=f"{logs['loss']:.3f}", refresh=False)
    return {name: value / len(order) for name, value in total.items()}


def mix(
    images: Image, targets: NDArray[np.float32], *, alpha: float, draws: np.random.Generator
) -> tuple[Image, NDArray[np.float32]]:
    """Return a batch blended with itself in another order, images and labels by one share (mixup, Zhang et al. 2018).

    ``images`` is uint8 (batch, height, width, 3), ``targets`` (batch, classes); the share is from Beta(alpha, alpha).
    """
    share = np.float32(draws.beta(alpha, alpha))
    partners = draws.permutation(len(images))
    blended = share * images + (1 - share) * images[partners].astype(np.float32)
    return np.rint(blended).astype(np.uint8), share * targets + (1 - share) * targets[partners]


def validate(model: keras.Model, examples: Examples, *, batch_size: int) -> dict[str, float]:
    """Return the mean loss and accuracy over ``examples``."""
    total: Counter[str] = Counter()
    order = np.arange(len(examples.labels))
    for images, targets in _batches(examples, order=order, size=batch_size, classes=model.output_shape[-1]):
        logs = model.test_on_batch(images, targets, return_dict=True)
        total.update({name: len(images) * float(value) for name, value in logs.items()})
    return {name: value / len(order) for name, value in total.items()}


def _batches(
    examples: Examples, *, order: NDArray[np.int64], size: int, classes: int
) -> Iterator[tuple[Image, NDArray[np.float32]]]:
    """Yield images (batch, height, width, 3) and one-hot labels (batch, classes) in ``order``."""
    one_hot = np.eye(classes, dtype=np.float32)
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        yield np.asarray(examples.images[examples.positions[chosen]]), one_hot[examples.labels[chosen]]
