"""What every section of the configuration is made of: a frozen part, and a field with unit and source."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PerStage = tuple[float, float, float, float, float]
Forward = tuple[float, float, float]
"""One value for each of the three steps forward: to AWARE, to CONSIDERING, to INTENT."""


def field_of(default: Any, unit: str, source: str, text: str, **limits: Any) -> Any:
    """A field whose unit, source (or the word *assumed*) and meaning are part of it."""
    return Field(
        default=default, description=text, json_schema_extra={"unit": unit, "source": source}, **limits
    )


class Part(BaseModel):
    """A section of the configuration: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def inside(name: str, values: tuple[float, ...], least: float, most: float) -> None:
    """Raises ValueError if one of the values of a list lies outside of its range."""
    if min(values) < least or max(values) > most:
        raise ValueError(f"{name} must lie in [{least:g}, {most:g}] and is {values}")
