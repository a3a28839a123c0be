"""Export of models to files that other programs can run.

An `Exporter` writes one format. `EXPORTERS` maps names to exporters. To add a format, write a class
and list it here.
"""

from __future__ import annotations

from hornbeam.export.exporter import Exporter
from hornbeam.export.stablehlo import (
    LoadedProgram,
    StableHLOExporter,
    export_stablehlo,
    load_stablehlo,
)

__all__ = [
    "EXPORTERS",
    "Exporter",
    "LoadedProgram",
    "StableHLOExporter",
    "export_stablehlo",
    "load_stablehlo",
]

EXPORTERS: dict[str, Exporter] = {exporter.name: exporter for exporter in (StableHLOExporter(),)}
