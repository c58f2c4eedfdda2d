"""Brings one file from the network, or from the mirror that WBC_MIRROR names, into a cache that outlives runs."""

import os
import sys
import threading
import time
from pathlib import Path

import requests
from pooch import HTTPDownloader, file_hash
from pooch.hashes import hash_algorithm, hash_matches
from requests.exceptions import ChunkedEncodingError, ConnectionError, RequestException

from wbc.base.files import written_aside
from wbc.base.root import project_root
from wbc.tools.locks import held

CACHE = ".downloads"
WEB = ("http://", "https://")
DRAWN = "run on drawn images: `dvc exp run -S data.source=smears`"


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


def unavailable(url: str, *, name: str, reason: str, mirror: bool = True, otherwise: str = DRAWN) -> DownloadError:
    """Return the error that says in one line what went wrong with ``name`` and what to do about it."""
    location = locate(url, name=name) if mirror else url
    original = "" if location == url else f" (instead of {url})"
    return DownloadError(
        f"cannot get {name} from {location}{original}: {reason}. Either set WBC_MIRROR to a folder or URL that holds "
        f"{name}, or {otherwise}"
    )


def fetch(
    url: str,
    *,
    name: str,
    known_hash: str | None = None,
    fresh: bool = False,
    mirror: bool = True,
    otherwise: str = DRAWN,
    within: float | None = None,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
) -> Path:
    """Return the path of the file ``name``: in a mirror folder as it is, else downloaded to <root>/.downloads/.

    A downloaded file is kept for later runs and used again while it has its ``known_hash``, a SHA-256, or an MD5 after
    ``md5:``; ``fresh`` gets it anew. Of several processes one downloads, and the others wait for it. Without
    ``mirror``, WBC_MIRROR counts for nothing.
    A server that does not answer at all ``within`` so many seconds is not waited for. Otherwise ``timeout`` limits each
    silence, in seconds, and a failure that may pass (no connection, a stall, a body cut short, HTTP 5xx, other bytes)
    is tried again, ``attempts`` in all, after ``pause`` seconds, then twice as long each time.
    Raises DownloadError, which names ``otherwise`` as the other way out.
    """

    def failure(reason: str) -> DownloadError:
        return unavailable(url, name=name, reason=reason, mirror=mirror, otherwise=otherwise)

    location = locate(url, name=name) if mirror else url
    if not location.startswith(WEB):
        if fault := find_fault(Path(location), known_hash):
            raise failure(fault)
        return Path(location)
    path = project_root() / CACHE / name
    with held(path.with_name(f".{name}.lock"), waiting=f"{name}: waits for another process that downloads it"):
        if fresh:
            path.unlink(missing_ok=True)
        if find_fault(path, known_hash) is None:
            return path
        if within is not None and (silence := _find_silence(location, within=within)):
            raise failure(silence)
        for attempt in range(attempts):
            try:
                return _download(location, path, known_hash=known_hash, timeout=timeout)
            except (RequestException, ValueError) as error:
                reason = _describe(error, timeout=timeout)
                if _is_final(error) or attempt == attempts - 1:
                    raise failure(reason) from error
            print(f"{name}: {reason}; trying again in {pause * 2**attempt:g} s", file=sys.stderr)
            time.sleep(pause * 2**attempt)
    raise ValueError(f"attempts must be at least 1, got {attempts}")


def find_fault(path: Path, known_hash: str | None) -> str | None:
    """Return what is wrong with the file at ``path``, None for nothing. ``known_hash`` as for fetch."""
    if not path.is_file():
        return "there is no such file"
    if known_hash is None or hash_matches(path, known_hash):
        return None
    algorithm, expected = hash_algorithm(known_hash), known_hash.rpartition(":")[2]
    name = {"md5": "MD5", "sha256": "SHA-256"}[algorithm]
    return f"other bytes than expected, {name} {file_hash(path, alg=algorithm)} instead of {expected}"


def _find_silence(url: str, *, within: float) -> str | None:
    """Return why the server did not answer within so many seconds, which include the look-up of its name, or None."""
    outcome = [f"no answer within {within:g} s"]

    def ask() -> None:
        try:
            requests.head(url, timeout=within)
            outcome.clear()
        except RequestException as error:
            outcome[0] = _describe(error, timeout=within)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(within)
    return next(iter(outcome), None)


def _download(url: str, path: Path, *, known_hash: str | None, timeout: float) -> Path:
    with written_aside(path) as aside:
        # urllib3, below pooch, raises when a body is shorter than its Content-Length
        HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=2**16, timeout=timeout)(url, aside, None)
        if fault := find_fault(aside, known_hash):
            raise ValueError(fault)
    return path


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
