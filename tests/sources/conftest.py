"""Archives made by hand."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def pack(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar of files (name, content) and of hand-made members, and return its path."""

    def pack(*members: tuple[str, bytes] | tarfile.TarInfo, compression: str = "gz") -> Path:
        path = tmp_path / "packed.tar"
        with tarfile.open(path, f"w:{compression}") as tar:
            for member in members:
                if isinstance(member, tarfile.TarInfo):
                    header = member.tobuf()  # not by addfile, which refuses a size without content since Python 3.13
                    tar.fileobj.write(header)
                    tar.offset += len(header)
                    continue
                name, content = member
                information = tarfile.TarInfo(name)
                information.size = len(content)
                tar.addfile(information, io.BytesIO(content))
        return path

    return pack
