"""Ranks labels that the images contradict, for a person to judge: confident learning (Northcutt et al. 2021)."""

import warnings

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

FOLDS = 5
_STRENGTH = 0.01  # inverse of the L2 penalty: there are more features than images


def choose_judged(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the classes of at least FOLDS groups; none where there are fewer than two such classes."""
    groups = manifest.groupby("label")["group"].transform("nunique")
    judged = manifest[groups >= FOLDS]
    return judged if judged["label"].nunique() > 1 else manifest[:0]


def out_of_fold_probabilities(
    features: NDArray[np.floating], *, labels: pd.Series, groups: pd.Series, seed: int
) -> pd.DataFrame:
    """Return the probability of each class (columns) for each image (rows), from models that saw none of its group.

    Logistic regression on standardised ``features`` (images, features), stratified group k-fold. The classes are those
    of `choose_judged`.
    """
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=1000, random_state=seed)
    )
    folds = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=seed)
    with threadpool_limits(1), warnings.catch_warnings():  # the sums of several threads differ in their last bits
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        probabilities = cross_val_predict(model, features, labels, groups=groups, cv=folds, method="predict_proba")
    return pd.DataFrame(probabilities, index=labels.index, columns=sorted(labels.unique()))


def rank_suspects(manifest: pd.DataFrame, probabilities: pd.DataFrame) -> pd.DataFrame:
    """Return the table SUSPECTS of wbc.data.tables of the images whose label is in doubt, the most doubtful first.

    ``margin`` is the probability of the label less that of the most probable other class. Rows keep the index of
    ``manifest``, whose columns id and label are read.
    """
    codes = pd.Categorical(manifest["label"], probabilities.columns).codes.astype(int)
    scores = probabilities.to_numpy()
    found = find_label_issues(codes, scores, filter_by="confident_learning", n_jobs=1)
    rows = np.arange(len(codes))
    others = scores.copy()
    others[rows, codes] = -1
    table = manifest[["id", "label"]].assign(
        looks_like=probabilities.columns.to_numpy()[others.argmax(axis=1)],
        margin=scores[rows, codes] - others.max(axis=1),
    )
    return table[found].sort_values(["margin", "id"])
