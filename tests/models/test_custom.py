import keras
import pytest
from keras import layers

from wbc.models.custom import build
from wbc.models.params import CustomParams

MODULE = """
import keras

def build(*, image_shape, classes, params):
    image = keras.Input(image_shape, dtype="uint8")
    tensor = keras.layers.Conv2D(params.options["channels"], 3)(keras.layers.Rescaling(1 / 255)(image))
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    return keras.Model(image, keras.layers.Dense(classes, activation="softmax")(tensor))

def text(**_):
    return "a model"

def regression(*, image_shape, **_):
    return keras.Sequential([keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(1)])
"""


@pytest.fixture
def params(tmp_path, monkeypatch):
    (tmp_path / "own_network.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)

    def params(function):
        return CustomParams(
            build=function,
            options={"channels": 7},
            input=(32, 32),
            weights="as built",
            dropout=0.0,
            l2=0.0,
            optimizer="adam",
            learning_rate=0.001,
            batch_size=1,
            epochs=1,
        )

    return params


def test_the_function_is_given_shape_classes_and_its_own_options(params):
    model = build(image_shape=(32, 40, 3), classes=5, params=params("own_network:build"))
    assert isinstance(model, keras.Model)
    assert [layer.filters for layer in model.layers if isinstance(layer, layers.Conv2D)] == [7]
    assert model.output_shape == (None, 5)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("own_netwrok:build", "own_netwrok:build cannot be imported: No module named 'own_netwrok'"),
        ("own_network:biuld", "own_network:biuld cannot be imported: .* has no attribute 'biuld'"),
        ("own_network:text", "own_network:text returned str, not a keras.Model"),
        ("own_network:regression", r"goes from and to .*\(None, 1\)\), not .*\(None, 5\)"),
    ],
)
def test_a_function_that_cannot_be_used_is_named(params, function, message):
    with pytest.raises(ValueError, match=rf"models\.custom\.build: .*{message}"):
        build(image_shape=(32, 40, 3), classes=5, params=params(function))
