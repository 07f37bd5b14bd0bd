"""The options that all commands share, and how they print."""

import json
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from fhir_server.settings import settings

F = TypeVar("F", bound=Callable[..., Any])


def _use_data(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None:
        settings.data_dir = value


def data(command: F) -> F:
    """--data DIR: sets the instance's folder for everything that follows."""
    return click.option(
        "--data",
        metavar="DIR",
        expose_value=False,
        callback=_use_data,
        is_eager=True,
        help="The server's data folder.  [default: .salam in the checkout, or SALAM_DATA]",
    )(command)


def as_json(command: F) -> F:
    """--json: print one JSON value and nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def tenant(command: F) -> F:
    """--tenant SLUG."""
    return click.option("--tenant", "slug", metavar="SLUG", required=True, help="The tenant.")(command)


def show(value: Any, as_json: bool, text: str) -> None:
    """Print the result as JSON or as text."""
    print(json.dumps(value, ensure_ascii=False) if as_json else text, flush=True)


def say(text: str) -> None:
    """Tell the person at the terminal something that is not the result."""
    print(text, file=sys.stderr, flush=True)
