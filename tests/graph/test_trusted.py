import json
from hashlib import sha256
from pathlib import Path

import pytest

from app.errors import InvalidInput, NotAllowed, NotFound
from graph.answers import Request
from graph.http import read_parameters, request_of
from graph.operations import Operations
from graph.trusted import TrustedDocuments

TEXT = "query Kind { __typename }"
DIGEST = sha256(TEXT.encode()).hexdigest()


def by_id(document: str, *, by_hash: bool = False) -> Request:
    return Request("", {}, None, document, by_hash)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "kind.graphql").write_text(TEXT)
    (tmp_path / "notes.txt").write_text("{ other }")
    return tmp_path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({"kind-1": TEXT}))
    return path


@pytest.fixture
def apollo(tmp_path: Path) -> Path:
    operations = [{"id": "kind-1", "name": "Kind", "type": "query", "body": TEXT}]
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}))
    return path


@pytest.mark.parametrize("kind", ["folder", "manifest", "apollo"])
def test_a_text_is_known_by_its_digest(request: pytest.FixtureRequest, kind: str) -> None:
    trusted = TrustedDocuments.load(request.getfixturevalue(kind), only=True)
    assert trusted.text_of(by_id(DIGEST)) == trusted.text_of(by_id(f"sha256:{DIGEST}")) == TEXT
    assert trusted.text_of(Request(TEXT, {}, None)) == TEXT
    with pytest.raises(NotAllowed):
        trusted.text_of(Request("{ other }", {}, None))


@pytest.mark.parametrize("kind", ["manifest", "apollo"])
def test_a_file_may_give_ids_of_its_own(request: pytest.FixtureRequest, kind: str) -> None:
    assert TrustedDocuments.load(request.getfixturevalue(kind), only=False).text_of(by_id("kind-1")) == TEXT


def test_other_texts_are_executed_unless_said() -> None:
    assert TrustedDocuments({}, only=False).text_of(Request("{ other }", {}, None)) == "{ other }"


def test_an_unknown_id_is_told_in_the_words_of_whoever_asked() -> None:
    trusted = TrustedDocuments({}, only=False)
    with pytest.raises(NotFound, match="register it"):
        trusted.text_of(by_id("x"))
    with pytest.raises(NotFound, match=r"^PersistedQueryNotSupported$"):
        trusted.text_of(by_id("x", by_hash=True))


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"operations": [{"id": "a"}]}'])
def test_what_cannot_be_read_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match="cannot be read"):
        TrustedDocuments.load(path, only=False)


def test_a_file_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        TrustedDocuments.load(tmp_path / "none", only=False)


@pytest.mark.parametrize(
    ("content", "document", "by_hash"),
    [
        ({"documentId": "a"}, "a", False),
        ({"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "b"}}}, "b", True),
        ({"query": TEXT, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "b"}}}, None, False),
    ],
)
def test_ids_are_read_from_requests(content: dict, document: str | None, by_hash: bool) -> None:
    request = request_of(content)
    assert (request.document, request.by_hash) == (document, by_hash)
    parameters = {name: value if isinstance(value, str) else json.dumps(value) for name, value in content.items()}
    assert read_parameters(parameters) == request


@pytest.mark.parametrize(
    "content", [{"documentId": 7}, {"documentId": ""}, {"extensions": {"persistedQuery": "b"}}, {"extensions": 7}]
)
def test_what_names_no_document_is_refused(content: dict) -> None:
    with pytest.raises(InvalidInput, match="operation is missing"):
        request_of(content)


async def test_a_registered_operation_is_executed_by_its_id_and_no_other_is(schema, context, settings, folder) -> None:
    strict = settings.model_copy(update={"trusted_documents": folder, "trusted_documents_only": True})
    operations = Operations(schema, strict)
    assert (await operations.execute(by_id(DIGEST), context)).body() == {"data": {"__typename": "Query"}}
    for request, code in ((by_id("x"), "NOT_FOUND"), (Request("{ __typename }", {}, None), "NOT_ALLOWED")):
        answer = await operations.execute(request, context)
        assert not answer.executed
        assert answer.errors[0]["extensions"]["code"] == code
        assert not operations.is_subscription(request)
