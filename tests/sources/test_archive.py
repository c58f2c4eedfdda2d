import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from wbc.sources.archive import ArchiveError, Member, check_members, extract_verified, read_archive, unverified

FILES = {f"images/{letter}.jpg": letter.encode() * 5000 for letter in "abcd"}
CHECKSUMS = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
MEMBERS = [(f"top/{name}", content) for name, content in FILES.items()]


def without_top(name: str) -> str:
    return name.removeprefix("top/")


def extract(archive: Path, destination: Path) -> None:
    extract_verified(archive, destination, checksums=CHECKSUMS, rename=without_top)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(name: str, *, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, size
    return member


@pytest.mark.parametrize("compression", ["gz", "", "xz"])
def test_listed_files_only_are_written(pack, tmp_path, compression) -> None:
    archive = pack(made("top", kind=tarfile.DIRTYPE), *MEMBERS, ("top/setup.py", b"x"), compression=compression)
    extract(archive, tmp_path / "raw")
    assert contents(tmp_path / "raw") == FILES


def test_permissions_are_not_those_of_the_archive(pack, tmp_path) -> None:
    member = made("top/images/a.jpg")
    member.mode = 0o7777
    checksums = {"images/a.jpg": hashlib.sha256(b"").hexdigest()}
    previous = os.umask(0o022)
    try:
        extract_verified(pack(member), tmp_path / "raw", checksums=checksums, rename=without_top)
    finally:
        os.umask(previous)
    assert (tmp_path / "raw" / "images" / "a.jpg").stat().st_mode & 0o7777 == 0o644


def test_files_in_place_are_not_written_again_and_damaged_ones_are(pack, tmp_path) -> None:
    images = tmp_path / "raw" / "images"
    images.mkdir(parents=True)
    (images / "a.jpg").write_bytes(FILES["images/a.jpg"])
    (images / "b.jpg").write_bytes(FILES["images/b.jpg"][:100])
    (images / ".c.part.jpg").write_bytes(b"left by a killed run")
    before = (images / "a.jpg").stat()
    extract(pack(*MEMBERS), tmp_path / "raw")
    assert contents(tmp_path / "raw") == FILES
    after = (images / "a.jpg").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (made("/etc/cron.d/x"), "'/etc/cron.d/x' leads out of the folder"),
        (made("top/../../x"), "'top/../../x' leads out of the folder"),
        (made("..\\x"), "leads out of the folder"),
        (made("C:\\x"), "leads out of the folder"),
        (made("top/images", kind=tarfile.SYMTYPE, link="/etc"), "'top/images' is a link or a device"),
        (made("top/x", kind=tarfile.LNKTYPE, link="top/images/a.jpg"), "is a link or a device"),
        (made("top/x", kind=tarfile.FIFOTYPE), "is a link or a device"),
        (made("top/x", kind=tarfile.CHRTYPE), "is a link or a device"),
        (made("top/x", kind=tarfile.XHDTYPE, size=2**30), "makes the archive too large"),
        (made("top/x", kind=tarfile.GNUTYPE_LONGNAME, size=2**30), "makes the archive too large"),
        (
            made("top/x", size=2**30),
            "'top/x' of 1073741824 bytes makes the archive too large: at most one of 67108864 bytes is unpacked",
        ),
        (made("a/" * 70 + "x"), "lies 70 folders deep, at most 64 are read"),
    ],
    ids=["absolute", "parent", "slash", "drive", "symlink", "link", "pipe", "device", "pax", "name", "huge", "deep"],
)
def test_a_hostile_archive_is_refused_before_anything_is_written(pack, tmp_path, member, message) -> None:
    with pytest.raises(ArchiveError) as caught:
        extract(pack(*MEMBERS, member), tmp_path / "raw")
    assert message in str(caught.value)
    assert contents(tmp_path) == {"packed.tar": (tmp_path / "packed.tar").read_bytes()}


@pytest.mark.parametrize(
    ("sizes", "refused"),
    [([10, 10, 10], False), ([11, 1], True), ([10, 10, 10, 1], True), ([1, 1, 1, 1], False), ([0] * 5, True)],
)
def test_bounds_of_one_member_of_all_and_of_their_number(sizes, refused) -> None:
    members = [Member(f"{number}", size, True) for number, size in enumerate(sizes)]
    if not refused:
        check_members(members, largest=10, total=30, count=4)
        return
    with pytest.raises(ArchiveError):
        check_members(members, largest=10, total=30, count=4)


@pytest.mark.parametrize(("packed", "refused"), [(30, False), (29, True), (1, True), (None, False)])
def test_an_archive_may_not_swell_beyond_a_hundred_times(packed: int | None, refused: bool) -> None:
    members = [Member(f"{number}", 1000, True) for number in range(3)]
    if not refused:
        check_members(members, largest=1000, packed=packed)
        return
    with pytest.raises(ArchiveError, match=rf"at most 100 times the {packed} bytes that it is packed into is unpacked"):
        check_members(members, largest=1000, packed=packed)


def test_a_little_archive_of_smooth_pictures_may_swell(pack, tmp_path) -> None:
    content = bytes(10**6)
    archive = pack(*[(f"top/images/{letter}.jpg", content) for letter in "abcd"])
    assert archive.stat().st_size < 10**5 / 2
    checksums = dict.fromkeys(FILES, hashlib.sha256(content).hexdigest())
    extract_verified(archive, tmp_path / "raw", checksums=checksums, rename=without_top)
    assert len(contents(tmp_path / "raw")) == 4


def test_a_long_name_is_not_shown_whole(pack, tmp_path) -> None:
    with pytest.raises(ArchiveError) as caught:
        check_members([Member("a/" * 3000 + "x.png", 1, True)])
    assert len(str(caught.value)) < 200
    assert "lies 3000 folders deep" in str(caught.value)


def test_many_members_are_refused(pack, tmp_path) -> None:
    with pytest.raises(ArchiveError, match="more than 50000 members"):
        extract(pack(*MEMBERS, *[made("top/x")] * 50_000, compression=""), tmp_path / "raw")


def test_a_file_that_differs_is_named_and_the_others_are_kept(pack, tmp_path) -> None:
    archive = pack(*MEMBERS[:2], ("top/images/c.jpg", b"other"), MEMBERS[3])
    with pytest.raises(ArchiveError, match=r"1 of 4 files .* differ from their checksum, first images/c\.jpg"):
        extract(archive, tmp_path / "raw")
    assert sorted(contents(tmp_path / "raw")) == ["images/a.jpg", "images/b.jpg", "images/d.jpg"]
    assert unverified(tmp_path / "raw", CHECKSUMS) == ["images/c.jpg"]


def test_a_missing_file_is_named(pack, tmp_path) -> None:
    with pytest.raises(ArchiveError, match=r"1 of 4 files are missing .*images/d\.jpg"):
        extract(pack(*MEMBERS[:3]), tmp_path / "raw")


def test_a_damaged_archive_at_any_place_is_an_archive_error(pack, tmp_path) -> None:
    packed = pack(*MEMBERS).read_bytes()
    damaged = tmp_path / "damaged.tar.gz"
    for place in range(0, len(packed) - 8, 7):
        for content in (packed[:place], packed[:place] + bytes([packed[place] ^ 0xFF]) + packed[place + 1 :]):
            damaged.write_bytes(content)
            try:
                extract(damaged, tmp_path / f"raw{place}")
            except ArchiveError:
                continue
            assert contents(tmp_path / f"raw{place}") == FILES  # the damage was in the header or after the end


def test_what_is_no_archive_is_an_archive_error(tmp_path) -> None:
    (tmp_path / "page.tar.gz").write_text("<html>Log in to the hotel's network</html>")
    with pytest.raises(ArchiveError) as caught:
        extract(tmp_path / "page.tar.gz", tmp_path / "raw")
    assert str(caught.value) == "page.tar.gz is damaged: it is neither a tar, compressed or not, nor a zip"


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"Rar!\x1a\x07\x01\x00", "RAR"), (b"7z\xbc\xaf\x27\x1c\0\4", "7z"), (b"\x28\xb5\x2f\xfd", "Zstandard")],
)
def test_archives_of_other_kinds_are_called_by_their_name(tmp_path: Path, start: bytes, kind: str) -> None:
    (tmp_path / "set.zip").write_bytes(start + b"x" * 500)
    with pytest.raises(ArchiveError) as caught:
        list(read_archive(tmp_path / "set.zip"))
    assert str(caught.value) == f"set.zip is {kind}, and only zip and tar are unpacked here"
