"""Audits a folder of images: photographs of the same cell, contradictory labels and quality flags."""

import json
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from wbc.base.files import write_csv, write_json
from wbc.base.names import require_harmless
from wbc.clean.audit_figures import draw_flags, draw_pairs
from wbc.photographs.cells import find_bodies
from wbc.photographs.decoding import describe_fault, find_depth, find_peak, read_photograph
from wbc.photographs.quality import Measures, count_flags, flag, measure_quality
from wbc.sources.class_folders import SUFFIXES, Selection, list_images, plan_records
from wbc.tools.parallel import map_parallel
from wbc.twins import find_contradictions, find_twins, merge_groups, summarise_twins

WRITTEN = ("twins.csv", "images.csv", "dropped.csv", "twins.jpg", "flags.png", "audit.json")


class _Seen(NamedTuple):
    measures: Measures
    nucleus: tuple[float, float]  # px, NaN where none was found


def audit(folder: Path, *, output: Path) -> dict[str, Any]:
    """Audit the images of ``folder``, however deep, and return the counts.

    An image's id is its path in the folder; which files count and what their class is, is told as for the source
    ``folders`` (wbc.sources.class_folders). ``output`` may lie in the folder and does not count. Writes to it
    twins.csv (the table TWINS), images.csv (id, label, group, flags, contradicts), dropped.csv (id, label, reason and
    detail of each file that does not decode), audit.json and the figures twins.jpg and flags.png, in place of those
    of an earlier audit. Raises ValueError when the folder holds no image that decodes or a name that is no text, or
    ``output`` is that folder or holds files of these names that no audit left.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name one that holds images, flat or in class folders")
    _refuse_strangers(output, folder=folder)
    classes = _list_classes(folder, leave_out=output)
    paths = [folder / name for name in classes]
    depth = find_depth(map_parallel(find_peak, paths, description="depth", unit="file"))
    seen = list(map_parallel(partial(_look, depth=depth), paths, description="images"))
    readable = [(name, one) for name, one in zip(classes, seen, strict=True) if one is not None]
    if not readable:
        raise ValueError(f"{folder} holds no image that decodes: looked for {', '.join(SUFFIXES)}")
    files = {name: folder / name for name, _ in readable}
    labels = {name: classes[name] for name in files}
    dropped = pd.DataFrame({"id": [name for name in classes if name not in files]}, dtype=object)
    dropped = dropped.assign(label=dropped["id"].map(classes), reason="unreadable")
    dropped["detail"] = [describe_fault(folder / name) for name in dropped["id"]]
    pairs = find_twins(list(files), list(files.values()), nuclei=np.array([one.nucleus for _, one in readable]))
    groups = merge_groups(list(files), list(zip(pairs["id_a"], pairs["id_b"], strict=True)))
    flags = flag([one.measures for _, one in readable])
    contradictions = find_contradictions(pairs, labels=labels)
    images = pd.DataFrame({"id": list(files), "label": list(labels.values()), "group": groups, "flags": flags})
    images["contradicts"] = images["id"].map(contradictions).fillna("")
    counts = {
        "images": len(classes),
        "unreadable": len(classes) - len(readable),
        "twins": summarise_twins(pairs, groups=groups, labels=labels),
        "flags": count_flags(flags),
    }
    write_json(output / "audit.json", counts)  # first: by it a later audit knows the others
    write_csv(output / "twins.csv", pairs)
    write_csv(output / "images.csv", images)
    write_csv(output / "dropped.csv", dropped)
    draw_pairs(output / "twins.jpg", pairs, files=files, labels=labels)
    draw_flags(output / "flags.png", dict(zip(files, flags, strict=True)), files=files)
    return counts


def _refuse_strangers(output: Path, *, folder: Path) -> None:
    """Raise ValueError where files in ``output`` would be lost, or images be mixed with what is said of them."""
    if output.resolve() == folder.resolve():
        raise ValueError(f"the output {output} is the folder that is audited: name another")
    present = [name for name in WRITTEN if (output / name).exists()]
    if present and not _is_audit(output / "audit.json"):
        raise ValueError(f"{output / present[0]} was not written by an audit: move it away, or name another output")


def _is_audit(path: Path) -> bool:
    try:
        return {"images", "unreadable", "twins", "flags"} == set(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return False


def _list_classes(folder: Path, *, leave_out: Path) -> dict[str, str]:
    """Return the class, empty where unknown, of each image by its path in ``folder``."""
    found = list_images(folder, leave_out=leave_out)
    if not found:
        return {}
    records, paths = plan_records(found, selection=Selection())
    require_harmless(records)
    return dict(zip(paths, records["category"], strict=True))


def _look(path: Path, *, depth: int | None) -> _Seen | None:
    """Return what is measured on the image at ``path``, or None if it does not decode."""
    photograph = read_photograph(path, depth=depth)
    if photograph is None:
        return None
    bodies = find_bodies(photograph)
    left, top, width, height = bodies[0, :4].tolist() if len(bodies) else [np.nan] * 4
    return _Seen(measure_quality(photograph, bodies), (left + width / 2, top + height / 2))
