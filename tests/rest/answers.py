"""Reading answers: Bundles, pages, refusals."""

from typing import Any

from tests.client import Answer, Client

SEVERITIES = ("fatal", "error", "warning", "information")


def entries(answer: Answer) -> list[dict[str, Any]]:
    """The entries of a Bundle that came with 200."""
    assert answer.status == 200, answer.text
    assert answer.json["resourceType"] == "Bundle"
    found: list[dict[str, Any]] = answer.json.get("entry", [])
    return found


def resources(answer: Answer) -> list[dict[str, Any]]:
    """The resources of a Bundle that came with 200, in order."""
    return [entry["resource"] for entry in entries(answer) if "resource" in entry]


def link(answer: Answer, relation: str) -> str | None:
    """The url of one of a Bundle's links."""
    return next((one["url"] for one in answer.json.get("link", []) if one["relation"] == relation), None)


def pages(client: Client, path: str, most: int = 100) -> list[Answer]:
    """The page at `path` and all that its next links lead to."""
    found = [client.get(path)]
    while (url := link(found[-1], "next")) is not None:
        assert len(found) < most, "the next links do not end"
        found.append(client.get(url))
    return found


def refused(answer: Answer, status: int | tuple[int, ...], expression: str | None = None) -> str:
    """Check that this is an OperationOutcome of the status which says what is wrong (and where); gives its texts."""
    assert answer.status in ((status,) if isinstance(status, int) else status), (answer.status, answer.text)
    assert answer.json["resourceType"] == "OperationOutcome"
    assert answer.issues
    for issue in answer.issues:
        assert issue["severity"] in SEVERITIES
        assert issue["code"]
        assert len(issue["details"]["text"]) > 10, issue
    if expression is not None:
        named = [place for issue in answer.issues for place in issue.get("expression", [])]
        assert expression in named, answer.text
    return "\n".join(issue["details"]["text"] for issue in answer.issues)


def versions(client: Client, local: str) -> list[str]:
    """The version ids of a resource, newest first."""
    return [one["response"]["etag"].strip('W/"') for one in entries(client.get(f"{local}/_history?_count=1000"))]
