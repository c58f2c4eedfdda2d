"""`wbc audit`: looks for twins and flaws in a folder of images."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from wbc.commands.failure import failure


def audit(
    folder: Annotated[Path, typer.Argument(help="Images, flat or in class folders, as for the source `folders`.")],
    output: Annotated[Path, typer.Option(help="Where the tables and figures go.")] = Path("audit"),
) -> None:
    """Find images of the same cell, cells with two labels and images of poor quality in any FOLDER.

    Writes to the output folder: twins.csv (pairs with their evidence: inliers, correlation, rotation, scale, shift),
    images.csv (label, group, flags and contradicting image of each), dropped.csv (files that cannot be decoded),
    audit.json, twins.jpg and flags.png. Nothing in FOLDER is changed.
    """
    from wbc.audit.audit import audit as audit_folder
    from wbc.photographs.quality import FLAGS

    try:
        counts = audit_folder(folder, output=output)
    except (OSError, ValueError) as error:
        raise failure(error) from error
    twins = counts["twins"]
    table = Table("what", "count", "meaning")
    table.add_row("images", str(counts["images"]), f"{counts['unreadable']} of them cannot be decoded: dropped.csv")
    table.add_row("pairs", str(twins["pairs"]), "two images that show the same field, in part or whole")
    for kind, meaning in {"copy": "unmoved", "same_cell": "the same cell", "overlap": "the cells are others"}.items():
        table.add_row(f"  {kind}", str(twins[kind]), meaning)
    table.add_row("groups", str(twins["groups"]), f"of two or more images, {twins['grouped_images']} in all")
    table.add_row("contradictions", str(twins["contradictory_images"]), "images whose cell has another label as well")
    for name, meaning in FLAGS.items():
        table.add_row(name, str(counts["flags"][name]), meaning)
    Console(soft_wrap=True).print(table, f"tables and figures: {output}", sep="\n")
