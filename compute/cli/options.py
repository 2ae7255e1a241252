"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

StoreFolder = Annotated[Path, typer.Argument(metavar="DIR", help="The sweep's folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
LpipsTrunk = Annotated[
    Path | None, typer.Option("--lpips-trunk", help="Weights of LPIPS's trunk; without them the metric is absent.")
]
ClipFolder = Annotated[
    Path | None,
    typer.Option("--clip", help="Folder of a transformers CLIPModel; without it the CLIP score is absent."),
]
