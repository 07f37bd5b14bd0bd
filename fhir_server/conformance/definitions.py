"""The compiled definition files under `profiles/r4/`, written by `profiles/compile_r4.py`."""

import gzip
from pathlib import Path
from typing import Any

import msgspec

R4 = Path(__file__).parents[2] / "profiles" / "r4"
FHIR_VERSION = "4.0.1"


def read_definitions(name: str) -> Any:
    """Decode one file of `profiles/r4/`, for example `read_definitions("structures")`."""
    return msgspec.json.decode(gzip.decompress((R4 / f"{name}.json.gz").read_bytes()))
