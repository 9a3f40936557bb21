"""Contenders: a model with its threshold, the day on which it was first found, and what was claimed about the labels it was chosen on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from analysis.evidence import Contender
from analysis.tables.record import canonical_json, digest
from tasks.base.errors import DamagedError
from tasks.models.version import ModelVersion
from tasks.store import AlreadyThereError, NotThereError, Store

__all__ = ["Claim", "contender_of_model", "keep_claim", "keep_found", "read_claim", "with_threshold"]


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim, found on the day ``claimed``, that a contender was trained and chosen on no label that was observed after a day.

    ``author`` is the user who logged the model; None if MLflow does not know.
    """

    labels_seen_through: date
    author: str | None
    claimed: date


def contender_of_model(version: ModelVersion, model: str) -> Contender:
    """The contender that a version is. Its digest covers the ``model``, the threshold and the chosen output: others decide otherwise.

    Raises RegistryError if a tag cannot be used.
    """
    return Contender(
        version.version, _identity(version, model, version.threshold), version.threshold, version.trained_through
    )


def with_threshold(contender: Contender, version: ModelVersion, model: str) -> bool:
    """Whether the contender is this version, maybe with another threshold, so that both give the same scores."""
    return contender.digest == _identity(version, model, contender.threshold)


def _identity(version: ModelVersion, model: str, threshold: float | None) -> str:
    named = {"threshold": threshold} if threshold is not None else {}
    choices = version.choices
    return digest({"model": model, **named, **choices}) if named or choices else model


def keep_found(store: Store, project_name: str, reign: int, contender: Contender, today: date) -> date:
    """The day on which the contender was first found in the reign, which is ``today`` unless another day is stored.

    A reign counts its own contenders: one that comes back is chosen anew, and those that do not come back are not in its budget.

    MLflow knows when a version was registered, and not when its tags were set; a threshold can be chosen long after.
    """
    key = f"{_prefix(project_name, contender.digest)}.reign-{reign}.json"
    content = {"version": contender.version, "digest": contender.digest, "reign": reign, "found": today}
    return _create_or_read(store, key, canonical_json(content), lambda value: date.fromisoformat(value["found"]))


def keep_claim(store: Store, project_name: str, contender_digest: str, claim: Claim) -> Claim:
    """The first claim on the contender, which is this one unless another one is stored: a claim cannot be changed afterwards."""
    key = f"{_prefix(project_name, contender_digest)}.claim.json"
    return _create_or_read(store, key, canonical_json(claim), _claim)


def read_claim(store: Store, project_name: str, contender_digest: str) -> Claim | None:
    """The claim on the contender; None if there is none. Raises DamagedError."""
    key = f"{_prefix(project_name, contender_digest)}.claim.json"
    try:
        data = store.read(key)
    except NotThereError:
        return None
    return _parsed(store, key, data, _claim)


def _claim(value: dict[str, str]) -> Claim:
    return Claim(
        date.fromisoformat(value["labels_seen_through"]), value["author"], date.fromisoformat(value["claimed"])
    )


def _prefix(project_name: str, contender_digest: str) -> str:
    return f"{project_name}/contenders/{contender_digest[:16]}"


def _create_or_read(store: Store, key: str, data: bytes, parse: Callable[[dict[str, str]], T]) -> T:
    try:
        kept = store.read(key)
    except NotThereError:
        try:
            store.create(key, data)
        except AlreadyThereError:  # another run was first
            data = store.read(key)
        kept = data
    return _parsed(store, key, kept, parse)


def _parsed(store: Store, key: str, data: bytes, parse: Callable[[dict[str, str]], T]) -> T:
    try:
        return parse(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{store.uri}: {key} cannot be read as what was found or claimed of a contender; restore it from a backup"
        raise DamagedError(msg) from error
