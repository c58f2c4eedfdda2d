"""Tells which recorded runs may be compared: those that were tested on the same images and did not learn from them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

CELLS, SPLIT = "data/cells.npy", "data/split.csv"
UNKNOWN = "not recorded"
_ORIGINS = ("data.", "sources.", "clean.")  # what the images depend on
_SECTIONS = (*_ORIGINS, "split.", "augment.", "model.", "train.", "evaluate.")
_PLACE = ("data.source", "split.strategy", "split.folds", "split.fold", "seed")  # of a test part
_DRAWN = ("seed", "split.fold")  # what repeats one configuration instead of making another


class UnlikeRunsError(ValueError):
    """The runs do not belong into one ranking; the message says why."""


class Choice(NamedTuple):
    """The runs of one ranking, and those that it leaves out."""

    runs: pd.DataFrame  # with the columns configuration and part, the latest first
    left_out: pd.DataFrame  # with the column reason


def restrict(runs: pd.DataFrame, conditions: Sequence[str]) -> pd.DataFrame:
    """Return the ``runs`` that meet all ``conditions``, such as "split.fold=0". Raises ValueError where none does."""
    for condition in conditions:
        name, _, value = condition.partition("=")
        if name not in runs:
            raise ValueError(f"{condition}: no run has such a parameter; write parameter=value, such as split.fold=0")
        recorded = runs[name].dropna().astype(str)
        if value not in set(recorded):
            raise ValueError(f"{condition}: no run has it, there are {', '.join(sorted(set(recorded)))}")
        runs = runs.loc[recorded.index[recorded == value]]
    return runs


def choose_runs(
    runs: pd.DataFrame,
    *,
    locked: Mapping[str, str],
    models: Sequence[str] = (),
    names: Sequence[str] = (),
) -> Choice:
    """Return those ``runs`` that can be ranked together, and the others with the reason.

    ``runs`` has the latest first (wbc.tracking.runs.read_runs). A configuration is every parameter but seed and fold,
    and the weights in fact used. Left out are runs with a ``fault`` (wbc.tracking.experiment.read_experiments), of a
    leaky split, on other images than those of ``locked`` (the MD5 of CELLS and SPLIT in dvc.lock), or than those of the
    latest run, by the same source and cleaning, and all but the latest run of one configuration on one split. Of the
    rest those are ranked together that were tested on the same test parts: first those with the locked one, then where
    there are several, then most runs, then most parts. Raises UnlikeRunsError where ``models`` or ``names`` (of runs or
    experiments) are given and one of them would not be ranked, and where nothing is left.
    """
    if names:
        runs = _select(runs, names, columns=["mlflow.runName", "DVC_EXP_NAME"])
    if models:
        runs = _select(runs, models, columns=["model"])
    split = ["seed", f"dep.{SPLIT}"]
    runs = runs.assign(configuration=_join(runs, configuration_columns(runs)), part=_join(runs, split))
    reasons = _judge(runs, locked=locked)
    fit = runs[reasons == ""]
    parts = _choose_parts(fit, locked=locked, models=models)
    owned = fit.groupby("configuration")["part"].agg(set)
    members = [name for name, own in owned.items() if parts and parts <= own]
    others = fit[~(fit["configuration"].isin(members) & fit["part"].isin(parts))]
    for name, alike in others.groupby("configuration"):
        reasons[alike.index] = f"its configuration was tested on {describe_parts(fit[fit['configuration'] == name])}"
    choice = Choice(runs[reasons == ""], runs.assign(reason=reasons)[reasons != ""])
    _require_all(choice, models=models, names=names)
    return choice


def _select(runs: pd.DataFrame, wanted: Sequence[str], *, columns: Sequence[str]) -> pd.DataFrame:
    """Return the runs that have a ``wanted`` name in one of ``columns``. Raises UnlikeRunsError for unknown names."""
    known = runs[[name for name in columns if name in runs]]
    missing = [name for name in wanted if not (known == name).any(axis=None)]
    if missing:
        raise UnlikeRunsError(f"no recorded run of {', '.join(missing)}: see `make ui` or `dvc exp show`")
    return runs[known.isin(list(wanted)).any(axis=1)]


def _judge(runs: pd.DataFrame, *, locked: Mapping[str, str]) -> pd.Series:
    """Return why each run cannot be ranked with any other, "" where it can."""
    reasons = pd.Series("", index=runs.index, dtype=object)
    reasons[runs.reindex(columns=list(_PLACE)).isna().any(axis=1)] = "its source, split or seed was not recorded"
    leaky = (runs.reindex(columns=["split.strategy", "test_split_strategy"]) == "leaky").any(axis=1)
    reasons[leaky] = "its split is leaky, it was trained on views of test images"
    faults = runs.reindex(columns=["fault"])["fault"].fillna("")
    for fault in set(faults) - {""}:
        reasons[faults == fault] = f"it has no results of its own parameters: {fault}"
    images, alike = f"dep.{CELLS}", _join(runs, _settings(runs, _ORIGINS))
    sound = runs[faults == ""]
    locked_first = sound.assign(other=sound[images] != locked.get(CELLS)).sort_values("other", kind="stable")
    present = locked_first.groupby(alike)[images].transform("first").reindex(runs.index)
    stale = (runs[images] != present) & (reasons == "")
    reasons[stale] = f"its images were others, another {CELLS} by the same parameters"
    repeated = runs[reasons == ""].duplicated(["configuration", "part"])
    reasons[repeated.index[repeated]] = "a later run has the same configuration and split"
    return reasons


def _choose_parts(fit: pd.DataFrame, *, locked: Mapping[str, str], models: Sequence[str]) -> frozenset[str]:
    """Return the test parts to rank on, those of some configuration; none where ``models`` have none in common."""
    present = set(fit.loc[fit[f"dep.{SPLIT}"] == locked.get(SPLIT), "part"])
    owned = fit.groupby("configuration", sort=False).agg({"part": frozenset, "model": "first"})

    def merit(parts: frozenset[str]) -> tuple[bool, bool, int, int]:
        members = sum(parts <= own for own in owned["part"])
        return bool(parts & present), members > 1, members * len(parts), len(parts)

    common = [
        parts
        for parts in dict.fromkeys(owned["part"])
        if all(any(parts <= own for own in owned.loc[owned["model"] == name, "part"]) for name in models)
    ]
    return max(common, key=merit, default=frozenset())


def _require_all(choice: Choice, *, models: Sequence[str], names: Sequence[str]) -> None:
    """Raise UnlikeRunsError where a run that was asked for is not ranked, or none is."""
    lost = choice.left_out
    if not names and not choice.runs.empty:
        lost = lost[lost["model"].isin(set(models) - set(choice.runs["model"]))]
    if choice.runs.empty or len(lost):
        reasons = dict.fromkeys(f"{run['mlflow.runName']}: {run['reason']}" for _, run in lost.iterrows())
        raise UnlikeRunsError("\n".join(["these runs do not belong into one ranking:", *reasons]))


def configuration_columns(runs: pd.DataFrame) -> list[str]:
    """Return the columns that make a configuration: model, weights_used, then the parameters."""
    threads = [name for name in ("threads",) if name in runs]
    return ["model", "weights_used", *threads, *_settings(runs, _SECTIONS)]


def _settings(runs: pd.DataFrame, sections: tuple[str, ...]) -> list[str]:
    return sorted(name for name in runs.columns if name.startswith(sections) and name not in _DRAWN)


def _join(runs: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Return the values of ``columns`` as one text for each run; what was not recorded is a value of its own."""
    return runs.reindex(columns=list(columns)).fillna(UNKNOWN).astype(str).agg("\n".join, axis=1)


def describe_parts(runs: pd.DataFrame) -> str:
    """Return which test parts ``runs`` have: "bccd, split grouped, seed 1, folds 0, 1, 2; seed 2, fold 0"."""
    texts = []
    for (source, strategy), members in runs.groupby(["data.source", "split.strategy"], sort=False):
        parts: dict[str, str] = {}
        for seed in sorted(set(members["seed"]), key=int):
            rows = members[(members["seed"] == seed) & (members["split.folds"] != "null")]
            parts[seed] = _count("fold", set(rows["split.fold"]))
        seeds = {part: [seed for seed in parts if parts[seed] == part] for part in parts.values()}
        places = [", ".join(filter(None, [_count("seed", own), part])) for part, own in seeds.items()]
        texts.append(f"{source}, split {strategy}, {'; '.join(places)}")
    return "; ".join(texts)


def _count(noun: str, numbers: "set[str] | list[str]") -> str:
    """Return "fold 0", "folds 0, 1", or "" for none."""
    listed = ", ".join(sorted(numbers, key=int))
    return f"{noun}{'s' * (len(numbers) > 1)} {listed}" if numbers else ""
