"""Documents, parsed and validated once and remembered with all that was made of them."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from app.errors import InvalidInput
from app.runtime.settings import Settings
from graph.answers import Request
from graph.completion.plans import Plans
from graph.limits import check_length, cost_of, limit_rules, limits_first, too_large
from graph.trusted import TrustedDocuments

REMEMBERED_DOCUMENTS = 500
REMEMBERED_CHARACTERS = 20_000
"""Longer documents are parsed anew each time, so that what is remembered stays small."""

TOKENS_COUNTED = "tokens. Parsing aborted"
"""What graphql-core says of a document with too many tokens, as a syntax error like any other."""

NESTED_TOO_DEEPLY = "The document's fragments are nested too deeply: ask for less at once."


@dataclass(frozen=True, slots=True)
class Prepared:
    """An operation that can be executed: `cost` bounds its cost; `plans` is None where it is not to be compiled."""

    document: DocumentNode
    operation: OperationDefinitionNode
    cost: int
    plans: Plans | None


@dataclass(frozen=True, slots=True)
class Document:
    """A document's operations by name, or why none can be executed."""

    errors: Sequence[GraphQLError]
    operations: Mapping[str | None, Prepared]

    def operation(self, name: str | None) -> Prepared:
        """Return the operation of this name, or the only one; raise InvalidInput where there is none."""
        if name is None and len(self.operations) == 1:
            return next(iter(self.operations.values()))
        operation = self.operations.get(name)
        if operation is None:
            names = ", ".join(str(one) for one in self.operations)
            raise InvalidInput(
                f"Name one of the document's operations ({names}) in `operationName`.", path=("operationName",)
            )
        return operation


class Documents:
    """Reads documents, within the limits; remembers those that came last."""

    def __init__(self, schema: GraphQLSchema, settings: Settings) -> None:
        self._schema = schema
        self._max_tokens = settings.max_query_tokens
        self._compiled = settings.completion == "compiled"
        limits = limit_rules(max_depth=settings.max_query_depth, max_aliases=settings.max_query_aliases)
        self._rules = (*specified_rules, *limits)
        self._trusted = TrustedDocuments.load(settings.trusted_documents, only=settings.trusted_documents_only)
        self._remembered: OrderedDict[str, Document] = OrderedDict()

    def read(self, request: Request) -> Document:
        """Return what a request's document says; raise where it is not known, or not allowed."""
        text = self._trusted.text_of(request)
        document = self._remembered.get(text)
        if document is not None:
            self._remembered.move_to_end(text)
            return document
        check_length(text)
        short = len(text) <= REMEMBERED_CHARACTERS
        document = self._read(text, compiled=self._compiled and short)
        if short:
            self._remember(text, document)
        return document

    def _remember(self, text: str, document: Document) -> None:
        self._remembered[text] = document
        if len(self._remembered) > REMEMBERED_DOCUMENTS:
            self._remembered.popitem(last=False)

    def _read(self, text: str, *, compiled: bool) -> Document:
        try:
            document = parse(text, max_tokens=self._max_tokens)
            errors = limits_first(validate(self._schema, document, self._rules))
            return Document(errors, {}) if errors else Document((), self._prepared(document, compiled=compiled))
        except GraphQLError as error:
            past_limit = TOKENS_COUNTED in error.message
            return Document([too_large(error.message) if past_limit else error], {})
        except RecursionError:
            return Document([too_large(NESTED_TOO_DEEPLY)], {})

    def _prepared(self, document: DocumentNode, *, compiled: bool) -> dict[str | None, Prepared]:
        return {
            operation.name.value if operation.name else None: Prepared(
                document,
                operation,
                cost_of(self._schema, document, operation),
                Plans(self._schema, document, operation) if compiled else None,
            )
            for operation in document.definitions
            if isinstance(operation, OperationDefinitionNode)
        }
