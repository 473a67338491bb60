"""Google's own clients, with the credentials that google-auth finds, or for an emulator without any."""

from __future__ import annotations

from typing import Any

ENDPOINT = "GAELP_BIGQUERY_ENDPOINT"
"""Address of another server that speaks BigQuery's REST, without credentials: an emulator."""
STORAGE_ENDPOINT = "GAELP_BIGQUERY_STORAGE_ENDPOINT"
"""host:port of its Storage Read API; without it such a server is read by queries."""
LOCATION = "GAELP_BIGQUERY_LOCATION"
"""Where a new dataset is made, "US" by default; an old one is where it is."""


def client_of(project: str, endpoint: str) -> Any:
    """A client of queries, loads and tables; `endpoint` is "" for Google's own service."""
    from google.cloud import bigquery

    if not endpoint:
        return bigquery.Client(project)
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials

    nobody: Any = AnonymousCredentials
    options: Any = ClientOptions
    return bigquery.Client(project, credentials=nobody(), client_options=options(api_endpoint=endpoint))


def reader_of(client: Any, address: str | None) -> Any:
    """A client of the Storage Read API, with the credentials of another one, or of a server at an address."""
    from google.cloud import bigquery_storage_v1

    reader: Any = bigquery_storage_v1.BigQueryReadClient
    if address is None:
        return reader(credentials=client._credentials)
    import grpc  # type: ignore[import-untyped,unused-ignore]
    from google.cloud.bigquery_storage_v1.services.big_query_read import transports

    channel = grpc.insecure_channel(address, options=[("grpc.max_receive_message_length", -1)])
    return reader(transport=transports.BigQueryReadGrpcTransport(channel=channel))
