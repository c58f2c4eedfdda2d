"""AlexNet (Krizhevsky, Sutskever & Hinton 2012) as one tower, from scratch: 62,378,344 parameters with 1,000 classes.

The authors split it over two graphics cards, whose towers met in some layers only. Instead of their mean image the
mean of ImageNet's colours is subtracted; their initial weights, made for a million images, are Keras' own.
"""

import keras
from keras import layers, ops

from wbc.backbones.preprocessing import preprocess
from wbc.models.params import AlexNetParams

# Channels, kernel size, stride, padding; then whether responses are normalised, and whether they are pooled.
CONVOLUTIONS = (
    (96, 11, 4, "valid", True, True),
    (256, 5, 1, "same", True, True),
    (384, 3, 1, "same", False, False),
    (384, 3, 1, "same", False, False),
    (256, 3, 1, "same", False, True),
)


def build(*, image_shape: tuple[int, int, int], classes: int, params: AlexNetParams) -> keras.Model:
    """Return the network from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes).

    ``params.dropout`` precedes and ``params.l2`` weighs on each of the two hidden dense layers.
    """
    image = keras.Input(image_shape, dtype="uint8", name="image")
    tensor = preprocess(image, mode="torch", size=params.input)
    for number, (channels, kernel, stride, padding, normalised, pooled) in enumerate(CONVOLUTIONS):
        tensor = layers.Conv2D(
            channels, kernel, strides=stride, padding=padding, activation="relu", name=f"conv{number}"
        )(tensor)
        if normalised:
            tensor = normalise_responses(tensor)
        if pooled:
            tensor = layers.MaxPooling2D(3, strides=2, name=f"pool{number}")(tensor)
    tensor = layers.Flatten(name="flatten")(tensor)
    penalty = keras.regularizers.L2(params.l2)
    for number in range(2):
        tensor = layers.Dropout(params.dropout, name=f"dropout{number}")(tensor)
        tensor = layers.Dense(4096, activation="relu", kernel_regularizer=penalty, name=f"dense{number}")(tensor)
    probabilities = layers.Dense(classes, activation="softmax", dtype="float32", name="probabilities")(tensor)
    return keras.Model(image, probabilities, name="alexnet")


def normalise_responses(tensor: keras.KerasTensor) -> keras.KerasTensor:
    """Divide (batch, height, width, channels) by (2 + 1e-4 * sum of squares over 5 neighbouring channels) ** 0.75."""
    channels = tensor.shape[-1]
    squares = ops.pad(ops.square(tensor), [[0, 0], [0, 0], [0, 0], [2, 2]])
    return tensor / (2 + 1e-4 * sum(squares[..., shift : shift + channels] for shift in range(5))) ** 0.75
