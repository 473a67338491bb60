"""What the real service answers when it refuses: status, reason and words, as its error table has them.

Sources: cloud.google.com/bigquery/docs/error-messages (reasons and codes), cloud.google.com/bigquery/quotas,
and the words as users of the service quote them in public issue trackers. {table} and {job} are filled in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

MORE = "For more information, see https://cloud.google.com/bigquery/docs/troubleshoot-quotas"


@dataclass(frozen=True)
class Refusal:
    """One way in which the service says no, to a request or as the end of a job."""

    status: int
    reason: str
    message: str

    def filled(self, project: str, table: str, job: str) -> Refusal:
        """With the names of a request in its words."""
        dotted = f"{project}:{table or 'dataset.table'}"
        words = self.message.format(project=project, table=dotted, job=job or "job_1")
        return Refusal(self.status, self.reason, words)

    def proto(self) -> dict[str, Any]:
        """As a job's errorResult has it."""
        return {"reason": self.reason, "message": self.message}

    def body(self) -> bytes:
        """As the answer to a request has it."""
        error = {
            "code": self.status,
            "message": self.message,
            "errors": [{**self.proto(), "domain": "global"}],
        }
        return json.dumps({"error": error}).encode()


REFUSALS = {
    "503": Refusal(
        503, "backendError", "Error encountered during execution. Retrying may solve the problem."
    ),
    "500": Refusal(
        500, "internalError", "An internal error occurred and the request could not be completed."
    ),
    "429": Refusal(
        429,
        "rateLimitExceeded",
        "Exceeded rate limits: too many api requests per user per method for this user_method. " + MORE,
    ),
    "409": Refusal(409, "duplicate", "Already Exists: Job {project}:US.{job}"),
    "404": Refusal(404, "notFound", "Not found: Table {table} was not found in location US"),
    "rate limit": Refusal(
        403,
        "rateLimitExceeded",
        "Exceeded rate limits: too many table update operations for this table. " + MORE,
    ),
    "quota": Refusal(
        403,
        "quotaExceeded",
        "Quota exceeded: Your table exceeded quota for imports or query appends per table. " + MORE,
    ),
    "dml queue": Refusal(
        400,
        "resourcesExceeded",
        "Resources exceeded during query execution: Too many DML statements outstanding against table "
        "{table}, limit is 20.",
    ),
    "streaming buffer": Refusal(
        400,
        "invalidQuery",
        "UPDATE or DELETE statement over table {table} would affect rows in the streaming buffer, "
        "which is not supported",
    ),
    "concurrent update": Refusal(
        400,
        "invalidQuery",
        "Could not serialize access to table {table} due to concurrent update",
    ),
    "no job permission": Refusal(
        403,
        "accessDenied",
        "Access Denied: Project {project}: User does not have bigquery.jobs.create permission in "
        "project {project}.",
    ),
    "no table permission": Refusal(
        403,
        "accessDenied",
        "Access Denied: Table {table}: Permission bigquery.tables.updateData denied on table {table} "
        "(or it may not exist).",
    ),
    "no dataset permission": Refusal(
        403,
        "accessDenied",
        "Access Denied: Project {project}: User does not have bigquery.datasets.create permission in "
        "project {project}.",
    ),
    "location": Refusal(404, "notFound", "Not found: Dataset {table} was not found in location US"),
}
"""By the name that a plan calls them."""

DML = re.compile(
    r"(?:^|;)\s*(MERGE|UPDATE|DELETE|INSERT|TRUNCATE)\s+(?:INTO\s+|FROM\s+|TABLE\s+)?(`[^`]+`(?:\.`[^`]+`)*|[\w.-]+)",
    re.IGNORECASE,
)
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def dml_of(sql: str) -> list[tuple[str, str]]:
    """(verb, table) of each DML statement in a text, the table as `dataset.table` where it says so."""
    found = DML.findall(COMMENT.sub(" ", sql))
    return [(verb.upper(), ".".join(table.replace("`", "").split(".")[-2:])) for verb, table in found]


def multipart_json(content: bytes) -> dict[str, Any]:
    """The first part of a multipart upload, which describes the job."""
    start = content.find(b"{")
    if start < 0:
        return {}
    parsed, _ = json.JSONDecoder().raw_decode(content[start : content.find(b"\r\n--", start)].decode())
    return parsed if isinstance(parsed, dict) else {}
