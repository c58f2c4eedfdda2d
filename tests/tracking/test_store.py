from pathlib import Path

import pytest

from wbc.tracking.store import database, has_store, tracking_uri


def test_the_store_is_in_the_main_workspace_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert tracking_uri() == "http://tracking.example:5000"


def test_a_database_that_is_not_there_is_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert not has_store()

    (tmp_path / "mlflow.db").touch()
    assert has_store()


def test_a_store_that_is_named_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.example:5000")
    assert has_store()


@pytest.mark.parametrize(
    ("named", "meant"),
    [
        ("sqlite:///mlflow.db", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///stores/a b.db", "sqlite:///{root}/stores/a b.db"),
        ("sqlite:///./mlflow.db", "sqlite:///{root}/mlflow.db"),
        ("sqlite:///../mlflow.db", "sqlite:///{root}/../mlflow.db"),
        ("sqlite+pysqlite:///mlflow.db?timeout=9", "sqlite+pysqlite:///{root}/mlflow.db?timeout=9"),
        ("file:mlruns", "file://{root}/mlruns"),
        ("file:./mlruns", "file://{root}/mlruns"),
        ("file:ml%20runs", "file://{root}/ml%20runs"),
        ("./mlruns", "{root}/mlruns"),
        ("mlruns", "{root}/mlruns"),
        ("sqlite:////var/mlflow.db", "sqlite:////var/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("sqlite://", "sqlite://"),
        ("file:///var/mlruns", "file:///var/mlruns"),
        ("/var/mlruns", "/var/mlruns"),
        ("postgresql://user@host/mlflow", "postgresql://user@host/mlflow"),
        ("databricks", "databricks"),
    ],
)
def test_a_relative_path_means_the_main_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, meant: str
) -> None:
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    assert tracking_uri() == meant.format(root=tmp_path)


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("", "{root}/mlflow.db"),
        ("sqlite:///stores/a b.db", "{root}/stores/a b.db"),
        ("sqlite+pysqlite:////var/mlflow.db?timeout=9", "/var/mlflow.db"),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("http://tracking.example:5000", None),
        ("mlruns", None),
    ],
)
def test_the_file_of_an_sqlite_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str, file: str | None
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)
    assert database() == (file and Path(file.format(root=tmp_path)))
