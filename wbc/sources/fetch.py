"""Brings one file from the network, or from the mirror that WBC_MIRROR names, into a cache that outlives runs."""

import os
import sys
import time
from pathlib import Path

from pooch import HTTPDownloader, file_hash
from requests.exceptions import ChunkedEncodingError, ConnectionError, RequestException

from wbc.files import written_aside
from wbc.root import project_root

CACHE = ".downloads"
WEB = ("http://", "https://")


class DownloadError(OSError):
    """A file cannot be had; the first line names where it was sought, what was expected and the ways out."""


def locate(url: str, *, name: str) -> str:
    """Return where the file ``name`` is taken from: ``url``, or the URL or path under WBC_MIRROR when that is set."""
    mirror = os.environ.get("WBC_MIRROR", "")
    if not mirror:
        return url
    if mirror.startswith(WEB):
        return f"{mirror.rstrip('/')}/{name}"
    return str(project_root() / Path(mirror).expanduser() / name)


def unavailable(url: str, *, name: str, reason: str) -> DownloadError:
    """Return the error that says in one line what went wrong with ``name`` and what to do about it."""
    location = locate(url, name=name)
    original = "" if location == url else f" (instead of {url})"
    return DownloadError(
        f"cannot get {name} from {location}{original}: {reason}. Either set WBC_MIRROR to a folder or URL that holds "
        f"{name}, or run on drawn images: `dvc exp run -S data.source=smears`"
    )


def fetch(
    url: str,
    *,
    name: str,
    sha256: str | None = None,
    fresh: bool = False,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
) -> Path:
    """Return the path of the file ``name``: in a mirror folder as it is, else downloaded to <root>/.downloads/.

    A downloaded file is kept for later runs and used again while its ``sha256`` fits; ``fresh`` gets it anew.
    ``timeout`` limits each silence of the server, in seconds. A failure that may pass (no connection, a stall, a
    body cut short, HTTP 5xx, other bytes) is tried again, ``attempts`` in all, after ``pause`` seconds, then twice
    as long each time. Raises DownloadError.
    """
    location = locate(url, name=name)
    if not location.startswith(WEB):
        return _from_folder(Path(location), url=url, sha256=sha256)
    path = project_root() / CACHE / name
    if fresh:
        path.unlink(missing_ok=True)
    if path.exists() and sha256 in (None, file_hash(path)):
        return path
    for attempt in range(attempts):
        try:
            return _download(location, path, sha256=sha256, timeout=timeout)
        except (RequestException, ValueError) as error:
            reason = _describe(error, timeout=timeout)
            if _is_final(error) or attempt == attempts - 1:
                raise unavailable(url, name=name, reason=reason) from error
        print(f"{name}: {reason}; trying again in {pause * 2**attempt:g} s", file=sys.stderr)
        time.sleep(pause * 2**attempt)
    raise ValueError(f"attempts must be at least 1, got {attempts}")


def _from_folder(path: Path, *, url: str, sha256: str | None) -> Path:
    if not path.is_file():
        raise unavailable(url, name=path.name, reason="there is no such file")
    if sha256 not in (None, file_hash(path)):
        raise unavailable(url, name=path.name, reason=_other_bytes(path, sha256))
    return path


def _download(url: str, path: Path, *, sha256: str | None, timeout: float) -> Path:
    with written_aside(path) as aside:
        # urllib3, below pooch, raises when a body is shorter than its Content-Length
        HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=timeout)(url, aside, None)
        if sha256 not in (None, file_hash(aside)):
            raise ValueError(_other_bytes(aside, sha256))
    return path


def _other_bytes(path: Path, sha256: str | None) -> str:
    return f"other bytes than expected, SHA-256 {file_hash(path)} instead of {sha256}"


def _is_final(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if response is None:
        return False
    return 400 <= response.status_code < 500 and response.status_code not in (408, 429)  # slow or busy: may pass


def _describe(error: Exception, *, timeout: float) -> str:
    if isinstance(error, RequestException) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}"
    if "timed out" in str(error):
        return f"no answer for {timeout:g} s"
    if isinstance(error, ChunkedEncodingError):
        return "the transfer broke off"
    return f"no connection ({type(error).__name__})" if isinstance(error, ConnectionError) else str(error)
