"""`wbc gate`: whether the results of a model are good enough."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from wbc.commands.failure import failure
from wbc.commands.quiet import be_quiet

if TYPE_CHECKING:
    from wbc.gate.gate import Champion, Check


def gate(
    metrics: Annotated[Path, typer.Option(help="The folder of the results to judge.")] = Path("metrics"),
    params: Annotated[Path, typer.Option(help="The file whose section `gate` holds the rules.")] = Path("params.yaml"),
    against: Annotated[
        str | None, typer.Option(help="A git revision or DVC experiment whose metrics stand for the champion's.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write the verdict to this file; - is standard output.")] = None,
    summary: Annotated[Path | None, typer.Option(help="Append the table in Markdown to this file.")] = None,
) -> None:
    """Judge the results on the test part by the rules of `gate` in params.yaml; exit 1 when one of them is broken.

    The model is compared with the champion that `wbc promote` registered, or with --against REVISION, by a paired
    bootstrap on the same test images. A metric that is absent counts as missed.
    """
    from wbc.base.files import require_output
    from wbc.base.params import read_section
    from wbc.gate.gate import is_open, judge
    from wbc.gate.params import GateParams
    from wbc.gate.report import print_checks, render_checks
    from wbc.tracking.experiment import describe_revision
    from wbc.tracking.lineage import LOCK, name_model, require_current

    try:
        if json and json != Path("-"):
            require_output(json, suffixes=[".json"])
            if json.exists() and json.resolve().parent == metrics.resolve():
                raise ValueError(f"{json} is one of the results that are judged: write the verdict elsewhere")
        rules = read_section(GateParams, "gate", path=params)
        home = metrics if (metrics / LOCK).exists() else Path()
        require_current(metrics, home=home)
        judged = f"{metrics}, {describe_revision()}, model {name_model(home)}"
        with TemporaryDirectory() as folder:
            champion = _read_revision(against, Path(folder)) if against else _read_registered(Path(folder))
            checks = judge(metrics, data=Path("data"), gate=rules, champion=champion)
        if summary:
            with summary.open("a") as file:
                file.write(f"{render_checks(checks)}\nJudged: {judged}.\n")
        if json:
            _write_verdict(json, checks, judged=judged, champion=champion)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    if json != Path("-"):
        Console(soft_wrap=True).print(Text(f"judged: {judged}"))
        print_checks(checks)
    raise typer.Exit(0 if is_open(checks) else 1)


def _read_revision(name: str, folder: Path) -> "Champion":
    """Bring the metrics of the git revision or experiment ``name`` below ``folder``."""
    from dvc.exceptions import DvcException

    from wbc.gate.gate import Champion
    from wbc.tracking.experiment import export_results

    results = folder / "metrics"
    try:
        export_results(name, destination=results)
    except FileNotFoundError:  # a revision from before there were any
        results.mkdir()
    except DvcException as error:
        raise ValueError(str(error)) from error
    return Champion(name, results)


def _read_registered(folder: Path) -> "Champion | None":
    """Bring the results of the registered champion below ``folder``; None where there is no registry or no champion."""
    from wbc.tracking.store import has_store

    if not has_store():
        return None
    be_quiet()
    from wbc.tracking.promotion import fetch_champion

    try:
        return fetch_champion(folder)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise OSError(
            f"MLflow cannot name the champion ({reason}): compare with a git revision by --against"
        ) from error


def _write_verdict(path: Path, checks: "list[Check]", *, judged: str, champion: "Champion | None") -> None:
    """Write what the gate found as JSON."""
    from dataclasses import asdict

    from wbc.base.files import write_json
    from wbc.gate.gate import is_open

    verdict = {
        "passed": is_open(checks),
        "judged": judged,
        "champion": champion.name if champion else None,
        "checks": [asdict(check) for check in checks],
    }
    if path == Path("-"):
        Console().print_json(data=verdict)
    else:
        write_json(path, verdict)
