"""Unpacks an archive that nobody vouches for: safe members only, chosen files only."""

import hashlib
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath
from typing import NamedTuple, Self

from pooch import file_hash
from tqdm import tqdm

from wbc.base.files import written_aside

MEBIBYTE = 2**20
LARGEST = 64 * MEBIBYTE
RATIO = 100  # bytes unpacked to one of the archive, of which photographs need few
DEEPEST = (
    64  # folders in each other, of a path; thousands are more than paths may be long and functions call each other
)
_FOREIGN = {
    b"Rar!\x1a\x07": "RAR",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"\x28\xb5\x2f\xfd": "Zstandard",
}  # by their first bytes
_SHOWN = 100  # characters of a member's name in a message


class ArchiveError(ValueError):
    """An archive is unsafe, damaged or incomplete; the message says which member is to blame."""


class Member(NamedTuple):
    """What the safety check needs to know of an archive's member; ``plain`` means a regular file or a folder."""

    name: str
    size: int
    plain: bool


def check_members(
    members: Iterable[Member],
    *,
    largest: int = LARGEST,
    total: int = 4096 * MEBIBYTE,
    count: int = 50_000,
    packed: int | None = None,
) -> None:
    """Raise ArchiveError when a member could write outside its folder, is no plain file or breaks a bound.

    ``largest`` and ``total`` are bytes after decompression. Of an archive of ``packed`` bytes they may be RATIO times
    as many in all, or ``largest``, if that is more. Members are taken one by one: nothing behind the first bad one is
    decompressed.
    """
    sum_of_sizes = 0
    swollen = max(RATIO * packed, largest) if packed is not None else total
    for number, member in enumerate(members, start=1):
        sum_of_sizes += member.size
        path = PureWindowsPath(member.name)  # splits at both slashes and knows drives
        name = repr(member.name if len(member.name) <= _SHOWN else f"{member.name[:_SHOWN]}…")
        if path.anchor or ".." in path.parts:
            raise ArchiveError(f"the member {name} leads out of the folder")
        if not member.plain:
            raise ArchiveError(f"the member {name} is a link or a device")
        if len(path.parts) - 1 > DEEPEST:
            raise ArchiveError(f"the member {name} lies {len(path.parts) - 1} folders deep, at most {DEEPEST} are read")
        bounds = {
            f"one of {largest} bytes": member.size > largest,
            f"{total} bytes in all": sum_of_sizes > total,
            f"{RATIO} times the {packed} bytes that it is packed into": sum_of_sizes > swollen,
        }
        if broken := [bound for bound, exceeded in bounds.items() if exceeded]:
            raise ArchiveError(
                f"the member {name} of {member.size} bytes makes the archive too large: at most {broken[0]} is unpacked"
            )
        if number > count:
            raise ArchiveError(f"there are more than {count} members")


class _BoundedHeader(tarfile.TarInfo):
    """A tar header whose size is checked at once: tarfile reads a long name or a pax record into memory whole."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        header = super().frombuf(buf, encoding, errors)
        check_members([Member(header.name, header.size, plain=True)])
        return header


def read_tar(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a tar, compressed or not, once all its members are found safe.

    Raises ArchiveError.
    """
    try:
        with tarfile.open(archive, tarinfo=_BoundedHeader) as tar:
            check_members(
                (Member(member.name, member.size, member.isreg() or member.isdir()) for member in tar),
                packed=archive.stat().st_size,
            )
            for member in tqdm(tar.getmembers(), desc=archive.name, unit="file", disable=None):
                if content := tar.extractfile(member):
                    yield member.name, content.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError, RecursionError) as error:
        first, *methods = str(error).splitlines() or [type(error).__name__]  # tarfile tells of each way that it tried
        reason = "it is neither a tar, compressed or not, nor a zip" if methods else first
        raise ArchiveError(f"{archive.name} is damaged: {reason}") from error


def read_zip(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a zip, once all its members are found safe. Raises ArchiveError."""
    try:
        with zipfile.ZipFile(archive) as packed:
            members = packed.infolist()
            # zipfile stops at the size announced here, so a member cannot grow beyond what is checked
            check_members(
                (Member(member.filename, member.file_size, _is_plain(member)) for member in members),
                packed=archive.stat().st_size,
            )
            for member in tqdm(members, desc=archive.name, unit="file", disable=None):
                if not member.is_dir():
                    yield member.filename, packed.read(member)
    # zipfile raises RuntimeError, or a kind of it, for a password and for an unknown method or version
    except (zipfile.BadZipFile, EOFError, OSError, zlib.error, lzma.LZMAError, RuntimeError, ValueError) as error:
        if isinstance(error, ArchiveError):
            raise
        raise ArchiveError(f"{archive.name} is damaged or locked: {error}") from error


def _is_plain(member: zipfile.ZipInfo) -> bool:
    """Tell whether a zip's member is a regular file or a folder; the upper half of its attributes is Unix's mode."""
    kind = stat.S_IFMT(member.external_attr >> 16)
    return kind in (0, stat.S_IFREG, stat.S_IFDIR)


def read_archive(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each file of a zip or tar, known by its content. Raises ArchiveError."""
    with archive.open("rb") as file:  # not is_zipfile, which is true as well of a tar that ends in a zip
        start = file.read(6)
    for mark, kind in _FOREIGN.items():
        if start.startswith(mark):
            raise ArchiveError(f"{archive.name} is {kind}, and only zip and tar are unpacked here")
    return read_zip(archive) if start.startswith((b"PK\3\4", b"PK\5\6")) else read_tar(archive)


def unverified(folder: Path, checksums: Mapping[str, str]) -> list[str]:
    """Return the names in ``checksums`` (path below ``folder`` to SHA-256) that are absent or have other bytes."""
    return [
        name
        for name, sha256 in checksums.items()
        if not (folder / name).is_file() or file_hash(folder / name) != sha256
    ]


def write_whole(path: Path, content: bytes) -> None:
    """Write ``content`` aside, then rename it to ``path``."""
    with written_aside(path) as aside:
        aside.write_bytes(content)


def extract_verified(
    archive: Path, destination: Path, *, checksums: Mapping[str, str], rename: Callable[[str], str]
) -> None:
    """Bring every file in ``checksums`` (path below ``destination`` to SHA-256) out of the tar ``archive``.

    ``rename`` turns a member's name into that path; members that are not listed are left out. A file that is in
    place already is not written again; permissions are the process's own, not the archive's.
    Raises ArchiveError, for an unsafe archive before anything is written.
    """
    wanted = set(unverified(destination, checksums))
    for member, content in read_tar(archive):
        name = rename(member)
        if name in wanted and hashlib.sha256(content).hexdigest() == checksums[name]:
            write_whole(destination / name, content)
            wanted.remove(name)
    if wanted:
        raise ArchiveError(
            f"{len(wanted)} of {len(checksums)} files are missing or differ from their checksum, first {min(wanted)}"
        )
