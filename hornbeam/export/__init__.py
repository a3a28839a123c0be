"""Models as files that other programs run.

An `Exporter` writes one format. `EXPORTERS` holds them by name; a new format is one class and one
line here.
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
