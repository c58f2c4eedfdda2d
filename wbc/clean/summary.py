"""What is to be said of a cleaning."""

from collections import Counter
from typing import Any

import pandas as pd

from wbc.clean.rejects import (
    REASONS,
    parse_category,
)
from wbc.photographs.quality import count_flags
from wbc.twins import summarise_twins


def smaller_than(window: int, manifest: pd.DataFrame) -> pd.Series:
    """Return which photographs of ``manifest`` a window of so many px does not fit into."""
    return manifest[["width", "height"]].min(axis=1) < window


def describe_window(window: int, manifest: pd.DataFrame) -> str:
    """Return a sentence on the photographs that are `smaller_than` the window, and what becomes of them."""
    small = manifest[smaller_than(window, manifest)]
    inside = small["width"].clip(upper=window) * small["height"].clip(upper=window) / window**2
    width, height = small[["width", "height"]].iloc[0]
    return (
        f"warning: the window of {window} px is larger than {len(small)} of {len(manifest)} photographs, the first "
        f"{width}x{height} px: at least {1 - inside.mean():.0%} of their images is painted as empty slide. If an image "
        "is a cell already, set clean.crop to whole; else set clean.window to about a cell's diameter in px"
    )


def summarise_cleaning(
    manifest: pd.DataFrame, dropped: pd.DataFrame, twins: pd.DataFrame, *, window: int | None = None
) -> dict[str, Any]:
    """Return the counts of a cleaning and how often the nucleus found lies inside the annotated box.

    Contradictions are the images whose cell has another class in another image, kept or dropped. ``window`` is the side
    in px of what was cut out, None where photographs stayed whole.
    """
    boxed = manifest[manifest["boxes"] == 1]
    inside = boxed["nucleus_x"].between(boxed["box_left"], boxed["box_right"]) & boxed["nucleus_y"].between(
        boxed["box_top"], boxed["box_bottom"]
    )
    reasons = dropped["reason"].value_counts()
    present = dropped.loc[dropped["reason"] != "missing_file", "category"].map(parse_category)
    labelled = Counter(manifest["label"]) + Counter(labels[0] for labels in present if len(labels) == 1)
    return {
        "records": len(manifest) + len(dropped),
        "kept": len(manifest),
        "dropped": len(dropped),
        "labelled": dict(sorted(labelled.items())),  # photographs of one cell, before anything else is dropped
        "classes": {name: int(count) for name, count in manifest["label"].value_counts().sort_index().items()},
        "reasons": {reason: int(reasons.get(reason, 0)) for reason in REASONS},
        "fewer_boxes_than_labels": int((manifest["boxes"] == 0).sum()),
        "nucleus_not_found": int(manifest["nucleus_x"].isna().sum()),
        "smaller_than_window": int(smaller_than(window or 0, manifest).sum()),
        "located": {
            "boxed": len(boxed),
            "inside": int(inside.sum()),
            "rate": float(inside.mean()) if len(boxed) else None,
        },
        "twins": summarise_twins(twins, groups=manifest["group"].tolist(), labels=_labels(manifest, dropped)),
        "flags": count_flags(manifest["flags"].tolist()),
    }


def _labels(manifest: pd.DataFrame, dropped: pd.DataFrame) -> dict[str, str]:
    """Return the class of every image that could be used, those of contradictory label among them."""
    contradictory = dropped[dropped["reason"] == "contradictory_label"]
    return {
        **dict(zip(manifest["id"], manifest["label"], strict=True)),
        **dict(
            zip(contradictory["id"], contradictory["category"].map(lambda text: parse_category(text)[0]), strict=True)
        ),
    }
