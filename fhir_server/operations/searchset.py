"""The searchset Bundles that operations answer with."""

from collections.abc import Mapping

from fhir_server.storage.session import Row


def entry(base: bytes, names: Mapping[int, str], row: Row, mode: bytes) -> bytes:
    """A Bundle.entry of a row `…, type_id, id, body` as JSON text. Ids and type names need no escaping."""
    type_id, resource_id, body = (value or b"" for value in row[-3:])
    name = names[int(type_id)].encode()
    return b'{"fullUrl":"%b/%b/%b","resource":%b,"search":{"mode":"%b"}}' % (base, name, resource_id, body, mode)
