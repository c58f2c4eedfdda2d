"""Brings the photographs of one source, verified file by file, into data/raw."""

import hashlib
import shutil
from pathlib import Path

from wbc.params.base import read_section
from wbc.params.sources import DataParams
from wbc.records import write_records
from wbc.sources.registry import SOURCES
from wbc.stage import run_stage

RAW = Path("data/raw")
ASIDE = Path("data/.raw.part")  # no out of DVC's, so a killed download finds its files again


def main() -> None:
    """Fill a folder aside, add records.csv and rename it."""
    name = read_section(DataParams, "data").source
    source = SOURCES[name]
    params = read_section(source.schema, "sources", name)
    aside = ASIDE / f"{name}-{hashlib.sha256(params.model_dump_json().encode()).hexdigest()[:8]}"
    aside.mkdir(parents=True, exist_ok=True)
    write_records(aside, source.bring(aside, params=params))
    shutil.rmtree(RAW, ignore_errors=True)
    aside.rename(RAW)
    shutil.rmtree(ASIDE)


if __name__ == "__main__":
    run_stage("download", main)
