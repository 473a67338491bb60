"""What a BigQuery store says when it cannot, without any server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from storage import open_store
from storage.base import BadStoreURL, StoreError, StoreFull
from storage.bigquery_drain import drain_s
from storage.bigquery_entries import outbox_path
from storage.bigquery_errors import NotAllowed, WarehouseAway, sentence, told
from storage.urls import read_url

pytest.importorskip("google.cloud.bigquery", reason="google-cloud-bigquery is not installed here")

WHERE = "bigquery://project/users"


def refused(kind: str, message: str, reason: str = "") -> StoreError:
    from google.api_core import exceptions

    error = getattr(exceptions, kind)(message, errors=[{"reason": reason}] if reason else [])
    return sentence(WHERE, error)


@pytest.mark.parametrize(
    ("kind", "message", "reason", "made", "said"),
    [
        (
            "Forbidden",
            "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.",
            "accessDenied",
            NotAllowed,
            "roles/bigquery.jobUser",
        ),
        (
            "Forbidden",
            "Access Denied: Permission bigquery.tables.updateData denied on table p:d.t",
            "accessDenied",
            NotAllowed,
            "roles/bigquery.dataEditor",
        ),
        ("Forbidden", "Exceeded rate limits", "rateLimitExceeded", StoreFull, "drain less often"),
        ("Forbidden", "Quota exceeded: loads per table", "quotaExceeded", StoreFull, "midnight Pacific"),
        (
            "NotFound",
            "Not found: Dataset p:d was not found in location US",
            "notFound",
            StoreError,
            "GAELP_BIGQUERY_LOCATION",
        ),
        ("NotFound", "Not found: Table p:d.t", "notFound", StoreError, "gaelp store init"),
        (
            "NotFound",
            "Not found: Table p:d.t was not found in location US",
            "notFound",
            StoreError,
            "gaelp store init",
        ),
        ("ServiceUnavailable", "try later", "backendError", WarehouseAway, "gaelp store drain"),
        ("BadRequest", "Syntax error", "invalidQuery", StoreError, "gaelp store check"),
    ],
)
def test_a_refusal_is_one_sentence_with_the_remedy(
    kind: str, message: str, reason: str, made: type[StoreError], said: str
) -> None:
    error = refused(kind, message, reason)
    assert type(error) is made
    assert said in str(error)
    assert WHERE in str(error)


def test_no_credentials_and_old_ones_say_what_to_run() -> None:
    from google.auth.exceptions import DefaultCredentialsError, RefreshError

    none: type[Exception] = DefaultCredentialsError
    old: type[Exception] = RefreshError
    assert "gcloud auth application-default login" in str(sentence(WHERE, none("no")))
    assert "no longer good" in str(sentence(WHERE, old("expired")))


def test_without_the_package_it_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "google.api_core.exceptions", None)
    with pytest.raises(StoreError, match=r"pip install 'gaelp\[bigquery\]'"), told(WHERE):
        raise AssertionError("unreachable")


def test_a_url_names_project_and_dataset() -> None:
    assert read_url("bigquery://my-project/people").name == "my-project/people"
    assert read_url("bigquery://my-project").name == "my-project/gaelp_users"
    assert read_url("bigquery://example.com:my-project/x").name == "example.com:my-project/x"
    for bad, said in (
        ("bigquery:project", "two slashes"),
        ("bigquery://", "names no project"),
        ("bigquery://My Project/x", "names no project"),
        ("bigquery://project/a-b", "names a dataset 'a-b'"),
        ("bigquery://project/a/b", "names a dataset 'a/b'"),
    ):
        with pytest.raises(BadStoreURL, match=said):
            open_store(bad)


def test_the_outbox_lies_where_it_is_said_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GAELP_OUTBOX", str(tmp_path))
    assert outbox_path("p", "d", "") == str(tmp_path / "p.d.db")
    assert outbox_path("p", "d", "http://here") != outbox_path("p", "d", "http://there")
    monkeypatch.delenv("GAELP_OUTBOX")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert outbox_path("p", "d", "") == str(tmp_path / "data" / "gaelp" / "outbox" / "p.d.db")


def test_how_often_is_a_number_of_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drain_s() == 60.0
    for given, seconds in (("0", 0.0), ("2.5", 2.5)):
        monkeypatch.setenv("GAELP_DRAIN_S", given)
        assert drain_s() == seconds
    for wrong in ("-1", "often", "inf", "nan"):
        monkeypatch.setenv("GAELP_DRAIN_S", wrong)
        with pytest.raises(StoreError, match="number of seconds from 0 on"):
            drain_s()
