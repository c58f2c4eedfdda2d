import keras
import pytest
from keras import layers

from wbc.models.heads import classify


@pytest.fixture
def head(backbone_params):
    def build(shape, *, classes=5, **changes):
        features = keras.Input(shape)
        return keras.Model(features, classify(features, classes=classes, params=backbone_params(**changes)))

    return build


def test_the_pyramid_has_the_published_numbers_of_parameters(head):
    counts = [layer.count_params() for layer in head((4, 4, 2048), head="flatten_dense").layers if layer.count_params()]
    assert counts == [131_072, 8_388_864, 1_024, 32_896, 512, 8_256, 256, 325]


def test_the_pyramid_drops_out_after_each_hidden_layer(head):
    pyramid = head((1, 1, 8), head="flatten_dense", dropout=0.4)
    kinds = [type(layer).__name__ for layer in pyramid.layers]
    assert kinds[1:] == ["Flatten", *3 * ["BatchNormalization", "Dense", "Dropout"], "BatchNormalization", "Dense"]
    assert [layer.rate for layer in pyramid.layers if isinstance(layer, layers.Dropout)] == [0.4] * 3


@pytest.mark.parametrize(
    ("name", "dropout", "kinds"),
    [
        ("pooled", 0.3, ["GlobalAveragePooling2D", "Dropout", "Dense"]),
        ("linear", 0.0, ["GlobalAveragePooling2D", "Dense"]),
    ],
)
def test_a_small_head_is_one_dense_layer_on_the_mean_over_places(head, name, dropout, kinds):
    small = head((3, 4, 2048), head=name, dropout=dropout)
    assert [type(layer).__name__ for layer in small.layers[1:]] == kinds
    assert small.count_params() == 2048 * 5 + 5


@pytest.mark.parametrize("name", ["pooled", "flatten_dense"])
def test_the_penalty_is_on_every_dense_kernel(head, name):
    built = head((2, 2, 8), head=name, l2=0.5)
    kernels = [layer.kernel.numpy() for layer in built.layers if isinstance(layer, layers.Dense)]
    assert float(sum(built.losses)) == pytest.approx(0.5 * sum((kernel**2).sum() for kernel in kernels), rel=1e-5)
