"""Brings the photographs of one source, verified file by file, into data/raw."""

import hashlib
import shutil
from pathlib import Path

from wbc.base.files import require_made
from wbc.base.names import classes_of, describe_near_equal, require_harmless, require_two_classes
from wbc.base.params import read_section
from wbc.base.stage import run_stage
from wbc.data.tables import write_records
from wbc.sources.groups import supply_groups
from wbc.sources.params import DataParams
from wbc.sources.registry import SOURCES

RAW = Path("data/raw")
ASIDE = Path("data/.raw.part")  # no out of DVC's, so a killed download finds its files again


def main() -> None:
    """Fill a folder aside, add records.csv and rename it."""
    require_made(RAW, sign="records.csv")  # DVC has emptied it; a stage run by hand may find what is not ours
    data = read_section(DataParams, "data")
    name, source = data.source, SOURCES[data.source]
    params = read_section(source.schema, "sources", name)
    aside = ASIDE / f"{name}-{hashlib.sha256(params.model_dump_json().encode()).hexdigest()[:8]}"
    aside.mkdir(parents=True, exist_ok=True)
    records = source.bring(aside, params=params)
    records = supply_groups(records, params=data.groups)
    require_two_classes(classes_of(records))
    require_harmless(records)
    for note in describe_near_equal(records):
        print(note)
    write_records(aside, records)
    shutil.rmtree(RAW, ignore_errors=True)
    aside.rename(RAW)
    shutil.rmtree(ASIDE)


if __name__ == "__main__":
    run_stage("download", main)
