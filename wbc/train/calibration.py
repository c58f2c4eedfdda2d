"""Temperature scaling: one number makes a model's probabilities as sure as they are right (Guo et al. 2017)."""

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import ArrayLike, NDArray
from scipy import special
from scipy.optimize import minimize_scalar

from wbc.data.arrays import Image
from wbc.inference.inference import predict

_BOUNDS = (0.1, 10.0)  # of a temperature
_LEAST = float(np.finfo(np.float32).tiny)  # probability, so that its logarithm is finite


def calibrate(
    model: keras.Model, images: Image, *, positions: ArrayLike, labels: NDArray[np.integer]
) -> tuple[keras.Model, float]:
    """Return ``model`` scaled by a temperature, and that temperature, fitted on held-out images.

    ``images`` (images, height, width, 3), uint8, may be memory-mapped; ``labels`` are the class indices of those at
    ``positions``.
    """
    temperature = fit_temperature(predict(model, images, positions=positions), labels)
    return scale_by_temperature(model, temperature), temperature


def fit_temperature(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Return the temperature from 0.1 to 10, to four decimals, with the least log loss.

    ``probabilities`` is (images, classes), ``truth`` (images,) holds class indices. Dividing their logarithms by the
    temperature T gives softmax(logits / T), whose log loss is convex in 1 / T. Above 1 the probabilities were too sure.
    Where every prediction is right the loss falls for ever as T falls, and nothing can be fitted: T is then 1.
    """
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), _LEAST))
    of_truth = logarithms[np.arange(len(truth)), truth]
    if (probabilities.argmax(axis=1) == truth).all():
        return 1.0

    def log_loss(sharpness: float) -> float:
        return float(np.mean(special.logsumexp(sharpness * logarithms, axis=1) - sharpness * of_truth))

    ends = (1 / _BOUNDS[1], 1 / _BOUNDS[0])
    best = minimize_scalar(log_loss, bounds=ends, method="bounded", options={"xatol": 1e-8})
    return round(1 / float(best.x), 4)


def scale_by_temperature(model: keras.Model, temperature: float) -> keras.Model:
    """Return ``model`` with its probabilities p turned into p^(1/T), normalised; the most probable class stays.

    It shares the layers of ``model`` and is made of Keras' own, so that it loads without this project. Its layer
    ``temperature`` holds 1 / T.
    """
    logarithms = ops.log(ops.maximum(model.output, _LEAST))
    scaled = layers.Rescaling(1 / temperature, dtype="float32", name="temperature")(logarithms)
    probabilities = layers.Softmax(dtype="float32", name="calibrated")(scaled)
    return keras.Model(model.input, probabilities, name=model.name)
