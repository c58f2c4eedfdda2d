import importlib

import keras
import numpy as np
import pytest

from wbc.backbones.applications import APPLICATIONS, build_backbone
from wbc.models.backbone import FEATURES, build

IMAGES = np.random.default_rng(0).integers(0, 256, (8, 80, 76, 3), dtype=np.uint8)

# Module and constructor in keras.applications, and the published number of parameters without the classifier.
PUBLISHED = {
    "vgg16": ("vgg16", "VGG16", 14_714_688),
    "resnet50": ("resnet", "ResNet50", 23_587_712),
    "resnet152": ("resnet", "ResNet152", 58_370_944),
    "inceptionv3": ("inception_v3", "InceptionV3", 21_802_784),
    "efficientnetv2b0": ("efficientnet_v2", "EfficientNetV2B0", 5_919_312),
    "mobilenetv3": ("mobilenet_v3", "MobileNetV3Large", 2_996_352),
    "convnext_tiny": ("convnext", "ConvNeXtTiny", 27_820_128),
}


def test_efficientnetb0_has_the_published_parameters_but_for_the_statistics_of_its_own_normalisation():
    assert build_backbone("efficientnetb0", size=(96, 96), pretrained=None).count_params() == 4_049_571 - 7


def test_every_backbone_is_compared_with_keras():
    assert set(APPLICATIONS) == {*PUBLISHED, "efficientnetb0"}


@pytest.fixture(params=APPLICATIONS)
def name(request):
    return request.param


def features_of(model, images):
    return keras.Model(model.input, model.get_layer(FEATURES).output)(images).numpy()


def own_preprocessing(name, images):
    """Return what Keras' network of random weights is to be fed with so that it sees what ImageNet weights expect."""
    if name == "efficientnetb0":
        return 255 * (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    module = importlib.import_module(f"keras.applications.{PUBLISHED[name][0]}")
    return module.preprocess_input(images.astype(np.float32))


def test_features_are_those_of_keras_with_its_own_preprocessing(name, backbone_params, tmp_path):
    constructor = "EfficientNetB0" if name == "efficientnetb0" else PUBLISHED[name][1]
    network = getattr(keras.applications, constructor)(include_top=False, weights=None, input_shape=(80, 76, 3))
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(own_preprocessing(name, IMAGES), training=True)  # statistics that an untrained network's features live on
    network.save_weights(tmp_path / "backbone.weights.h5")
    params = backbone_params(input=(80, 76), trainable="all")
    model = build(name, image_shape=(80, 76, 3), classes=4, params=params, pretrained=tmp_path / "backbone.weights.h5")

    expected = network(own_preprocessing(name, IMAGES)).numpy()
    assert model.name == name
    if name in PUBLISHED:
        assert model.get_layer("backbone").count_params() == PUBLISHED[name][2]
    np.testing.assert_allclose(features_of(model, IMAGES), expected, rtol=0, atol=0.02 * expected.std())


def test_resnet50_under_the_pyramid_has_the_published_number_of_parameters(backbone_params):
    params = backbone_params(input=(128, 128), head="flatten_dense", trainable="only batch norm")
    model = build("resnet50", image_shape=(160, 160, 3), classes=5, params=params, pretrained=None)
    head = 131_072 + 8_388_864 + 1_024 + 32_896 + 512 + 8_256 + 256 + 325
    assert model.count_params() == 23_587_712 + head
