"""A network of the user's own, named in params.yaml as ``module:function``."""

from collections.abc import Callable
from importlib import import_module

import keras

from wbc.models.params import CustomParams


def build(*, image_shape: tuple[int, int, int], classes: int, params: CustomParams) -> keras.Model:
    """Return what the function ``params.build`` makes of ``image_shape``, ``classes`` and ``params``.

    It is to go from uint8 RGB images (batch, *image_shape) to probabilities (batch, classes). Raises ValueError when it
    cannot be found or its model has another shape.
    """
    model = load_function(params)(image_shape=image_shape, classes=classes, params=params)
    if not isinstance(model, keras.Model):
        raise ValueError(f"models.custom.build: {params.build} returned {type(model).__name__}, not a keras.Model")
    shapes = (model.input_shape, model.output_shape)
    expected = ((None, *image_shape), (None, classes))
    if shapes != expected:
        raise ValueError(f"models.custom.build: {params.build} goes from and to {shapes}, not {expected}")
    return model


def load_function(params: CustomParams) -> Callable[..., keras.Model]:
    """Return the function that ``params.build`` names. Raises ValueError when it cannot be found."""
    module, _, name = params.build.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"models.custom.build: {params.build} cannot be imported: {error}") from error
