"""Shows where in an image the evidence for a class lies: Grad-CAM, or occlusion for a model without a convolution."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray
from tqdm import tqdm

from wbc.data.arrays import Image
from wbc.inference.ensemble import networks_of

_CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv2DTranspose,
)
_LEAST = 1e-37  # probability, so that its logarithm is finite; less would be 0 in float32
_BATCH = 16  # images
_PATCHES = 6  # along the shorter side of an image, side by side
_STEPS = 2  # positions of a patch in its own width

Maps = NDArray[np.float32]


class Explanation(NamedTuple):
    """How strongly each pixel speaks for a class: maps (images, height, width), 0 to 1, and how they were made."""

    method: str
    maps: Maps


class Convolution(NamedTuple):
    """The last layer of a model that convolves, or that holds such layers, and its output in that model's graph."""

    layer: keras.Layer
    features: keras.KerasTensor  # (batch, height, width, channels)


def explain(model: keras.Model, images: Image, *, classes: NDArray[np.integer]) -> Explanation:
    """Return for each of the ``images`` (images, height, width, 3), uint8, what in it speaks for its class.

    ``classes`` (images,) holds indices into what ``model`` gives probabilities of. The method is Grad-CAM where the
    model has a convolution, else occlusion; of several networks the maps are averaged. A map whose pixels all speak
    against the class is 0.
    """
    networks = networks_of(model)
    convolutions = [found for network in networks if (found := find_convolution(network))]

    def draw(image: Image, *, index: int) -> Maps:
        if not convolutions:
            return occlude(model, image, index=index)
        pairs = zip(networks, convolutions, strict=True)
        return _scaled(np.mean([grad_cam(network, one, image, index=index) for network, one in pairs], axis=0))

    maps = [
        draw(image, index=index)
        for image, index in tqdm(list(zip(images, classes.tolist(), strict=True)), desc="explain", disable=None)
    ]
    return Explanation("Grad-CAM" if convolutions else "occlusion", np.stack(maps))


def find_convolution(model: keras.Model) -> Convolution | None:
    """Return where the last convolution of ``model`` ends, None for a model that has none with more than one place.

    A nested model counts as a whole: its output is what it passes on to the layers behind it.
    """
    for number, layer in reversed(list(enumerate(model.layers))):
        if isinstance(layer, keras.Model) and _convolves(layer):
            # What a nested model calls its output belongs to its own graph; the next layer knows the outer one.
            features = model.layers[number + 1].input
        elif isinstance(layer, _CONVOLUTIONS):
            features = layer.output
        else:
            continue
        if len(features.shape) == 4 and features.shape[1] * features.shape[2] > 1:
            return Convolution(layer, features)
    return None


def _convolves(model: keras.Model) -> bool:
    return any(
        _convolves(layer) if isinstance(layer, keras.Model) else isinstance(layer, _CONVOLUTIONS)
        for layer in model.layers
    )


def grad_cam(model: keras.Model, convolution: Convolution, image: Image, *, index: int) -> Maps:
    """Return the map (height, width) of Grad-CAM (Selvaraju et al. 2017) for the class ``index``, 0 to 1.

    The channels of the last ``convolution`` are summed, each weighed by the mean gradient of the class's evidence in
    it; what speaks against the class is cut off. The evidence is the logit less the mean of all logits: probabilities
    leave open what all logits have in common.
    """
    both = keras.Model(model.inputs[0], [convolution.features, model.outputs[0]])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch([weight.value for weight in convolution.layer.weights])  # else a frozen layer leaves no trace
        features, probabilities = both(image[None], training=False)
        evidence = _evidence(probabilities)[:, index]
    gradients = tape.gradient(evidence, features)
    weights = ops.mean(gradients, axis=(1, 2), keepdims=True)
    coarse = ops.convert_to_numpy(ops.relu(ops.sum(weights * features, axis=-1)))[0]
    height, width = image.shape[:2]
    fine = cv2.resize(coarse.astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    return _scaled(np.maximum(fine, 0))


def occlude(model: keras.Model, image: Image, *, index: int) -> Maps:
    """Return the map (height, width) of occlusion (Zeiler & Fergus 2014) for the class ``index``, 0 to 1.

    A square of the image's mean colour covers one place after the other. A pixel's value is the evidence that is lost,
    as `grad_cam` measures it, on the mean over the squares that cover it; what is gained is cut off.
    """
    height, width = image.shape[:2]
    whole = float(_evidence(model(image[None], training=False))[0, index])
    lost, covered = np.zeros((height, width)), np.zeros((height, width))
    windows = list(_windows(height, width))
    for start in range(0, len(windows), _BATCH):
        some = windows[start : start + _BATCH]
        batch = np.repeat(image[None], len(some), axis=0)
        for copy, window in zip(batch, some, strict=True):
            copy[window] = image.mean(axis=(0, 1)).round()
        left = ops.convert_to_numpy(_evidence(model(batch, training=False)))[:, index]
        for window, rest in zip(some, left, strict=True):
            lost[window] += whole - rest
            covered[window] += 1
    return _scaled(np.maximum(lost / covered, 0).astype(np.float32))


def _evidence(probabilities: tf.Tensor) -> tf.Tensor:
    """Return the logits (batch, classes), less the mean of each row, that ``probabilities`` come from."""
    logarithms = ops.log(ops.maximum(probabilities, _LEAST))
    return logarithms - ops.mean(logarithms, axis=-1, keepdims=True)


def _windows(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Yield overlapping squares that together cover an image."""
    side = max(min(height, width) // _PATCHES, 1)
    step = max(side // _STEPS, 1)
    for top in _starts(height, side=side, step=step):
        for left in _starts(width, side=side, step=step):
            yield slice(top, top + side), slice(left, left + side)


def _starts(length: int, *, side: int, step: int) -> list[int]:
    return sorted({*range(0, length - side, step), length - side})


def _scaled(values: Maps) -> Maps:
    return values / values.max() if values.max() > 0 else values


def last_features(model: keras.Model) -> keras.Model:
    """Return the part of ``model`` from images to what its last layer with weights takes in, (batch, features).

    Of several networks it gives the features of all, one after the other, and of each image as it is.
    """
    networks = networks_of(model)
    if networks != [model]:
        image = model.inputs[0]
        features = [last_features(network)(image) for network in networks]
        return keras.Model(image, keras.layers.Concatenate(name="last_features")(features))
    last = next(layer for layer in reversed(model.layers) if layer.weights)
    return keras.Model(model.inputs[0], keras.layers.Flatten(name="last_features")(last.input))


def choose_examples(predictions: pd.DataFrame, *, classes: list[str], count: int = 2) -> pd.DataFrame:
    """Return up to ``count`` right and ``count`` wrong rows of each true class, the most confident first.

    ``predictions`` has the columns of wbc.scores.predictions.predictions_table; the result also ``confidence``, the
    probability of the prediction, and ``right``. Equals come by id. Rows keep their index and come by class, the right
    ones first.
    """
    known = predictions.assign(
        confidence=predictions[[f"probability_{name}" for name in classes]].max(axis=1),
        right=predictions["truth"] == predictions["prediction"],
    )
    ordered = known.sort_values(["truth", "right", "confidence", "id"], ascending=[True, False, False, True])
    return ordered.groupby(["truth", "right"], sort=False).head(count)
