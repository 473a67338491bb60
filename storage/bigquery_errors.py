"""What BigQuery says, as sentences of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from storage.base import StoreError, StoreFull

LACKING = "google-cloud-bigquery is not installed here; run: pip install 'gaelp[bigquery]'."
_SAFE = "What was committed is safe in the outbox of this machine"

_SESSIONS = "BigQuery Read Session User (roles/bigquery.readSessionUser) on the project"
ROLES = {
    "bigquery.jobs.create": "BigQuery Job User (roles/bigquery.jobUser) on the project",
    "bigquery.readsessions.create": _SESSIONS,
    "bigquery.readsessions.getData": _SESSIONS,
    "bigquery.datasets.create": "BigQuery User (roles/bigquery.user) on the project",
}
"""Permission -> the narrowest role that brings it; every other one comes with _EDITOR."""
_EDITOR = "BigQuery Data Editor (roles/bigquery.dataEditor) on the dataset"
_VIEWER = "BigQuery Data Viewer (roles/bigquery.dataViewer) on the dataset, to read only"

AGAIN = {
    "backendError", "internalError", "jobBackendError", "jobInternalError", "rateLimitExceeded",
    "jobRateLimitExceeded", "tableUnavailable", "stopped", "timeout",
}  # fmt: skip
"""Reasons of failed jobs, and of refusals, that pass by themselves."""
_SERIALIZE = re.compile(
    r"could not serialize access|concurrent update|transaction conflict|streaming buffer|Too many DML", re.I
)


class WarehouseAway(StoreError, ConnectionError):
    """BigQuery could not be reached, or did not answer in time."""


class NotAllowed(StoreError, PermissionError):
    """BigQuery knows nobody by these credentials, or does not let them do this."""


def reason_of(error: BaseException) -> str:
    """The reason that BigQuery gives for a refusal, "" if it gives none."""
    for found in getattr(error, "errors", None) or ():
        if isinstance(found, dict) and found.get("reason"):
            return str(found["reason"])
    found = re.search(r"reason: (\w+)", str(error))
    return found[1] if found else ""


def passes(error: BaseException) -> bool:
    """Whether what went wrong may go well if it is tried again."""
    from google.api_core import exceptions
    from google.auth.exceptions import TransportError
    from requests.exceptions import ChunkedEncodingError, ConnectionError, Timeout

    away = (
        exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError, ConnectionError, Timeout,
        ChunkedEncodingError, TransportError, OSError,
    )  # fmt: skip
    if isinstance(error, StoreError):
        return False
    return isinstance(error, away) or reason_of(error) in AGAIN or bool(_SERIALIZE.search(str(error)))


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turns an error of google's libraries inside the block into a StoreError that names the remedy."""
    try:
        from google.api_core.exceptions import GoogleAPIError
        from google.auth.exceptions import GoogleAuthError
        from requests.exceptions import RequestException
    except ModuleNotFoundError as error:
        raise StoreError(LACKING) from error
    try:
        yield
    except (GoogleAPIError, GoogleAuthError, RequestException) as error:
        raise sentence(where, error) from error
    except StoreError:
        raise
    except OSError as error:
        raise _away(where, error) from error


def sentence(where: str, error: BaseException) -> StoreError:
    """What went wrong between us and a dataset, in one sentence with the remedy."""
    from google.api_core import exceptions
    from google.auth.exceptions import DefaultCredentialsError, RefreshError

    words = " ".join(str(getattr(error, "message", "") or error).split())[:400]
    said = f"BigQuery says: {words}"
    reason = reason_of(error)
    if isinstance(error, DefaultCredentialsError):
        return NotAllowed(
            f"There are no credentials for {where}. Run `gcloud auth application-default login`, or let "
            "GOOGLE_APPLICATION_CREDENTIALS name the key file of a service account."
        )
    if isinstance(error, RefreshError) and not getattr(error, "retryable", False):
        return NotAllowed(
            f"The credentials for {where} are no longer good ({words}). Run `gcloud auth "
            "application-default login` again, or renew the key. " + f"{_SAFE}."
        )
    if "uota" in reason or reason in ("rateLimitExceeded", "jobRateLimitExceeded"):
        return StoreFull(
            f"A quota of BigQuery is used up for {where} ({said}). {_SAFE}; wait (daily quotas end at "
            "midnight Pacific time), drain less often with GAELP_DRAIN_S, or ask for more, then run "
            "`gaelp store drain`."
        )
    if isinstance(error, exceptions.Forbidden | exceptions.Unauthorized):
        return NotAllowed(f"{_refused(where, words)} {_SAFE}.")
    if re.search(r"Dataset \S+ was not found in location", words) or "different locations" in words.lower():
        return StoreError(
            f"The dataset {where} is not in the location that was asked for ({said}). Let "
            "GAELP_BIGQUERY_LOCATION name the dataset's own location, e.g. EU; a dataset cannot be moved."
        )
    if isinstance(error, exceptions.NotFound):
        return StoreError(
            f"Something that the store {where} needs is not there ({said}). Check project and dataset, or "
            "run `gaelp store init`."
        )
    if passes(error):
        return _away(where, error)
    return StoreError(
        f"BigQuery refused a job for {where} ({said}). {_SAFE}; `gaelp store check` looks closer."
    )


def _refused(where: str, words: str) -> str:
    found = re.search(r"bigquery\.[a-zA-Z]+\.[a-zA-Z]+", words)
    permission = found[0] if found else ""
    role = ROLES.get(permission, _EDITOR)
    lacking = f"the permission {permission} is missing" if permission else f"BigQuery says: {words}"
    also = f" ({_VIEWER})" if role == _EDITOR else ""
    return f"These credentials may not do this with {where}: {lacking}. Ask for the role {role}{also}."


def _away(where: str, error: BaseException) -> WarehouseAway:
    words = " ".join(str(error).split())[:200]
    return WarehouseAway(
        f"BigQuery cannot be reached for {where} ({type(error).__name__}: {words}). {_SAFE}; check the "
        "network, then go on, or run `gaelp store drain`."
    )
