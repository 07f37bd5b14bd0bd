"""The WSGI edge of `/t/{tenant}/fhir`: from the environment to a `FhirRequest`, from the answer to bytes.

A plain callable, because a request that costs 0.15 ms cannot afford a framework's 0.06 (docs/decisions/0004).
"""

import re
import time
import uuid
import zlib
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError, Invalid, NotFound, TooLarge, UnsupportedMediaType
from fhir_server.core.messages import FHIR_JSON, FHIR_XML, FhirRequest, FhirResponse
from fhir_server.core.resource_json import decode, pretty
from fhir_server.observability import observe
from fhir_server.rest import dispatch, negotiate
from fhir_server.rest.xml_format import to_xml
from fhir_server.security.proxies import origin
from fhir_server.settings import settings

StartResponse = Callable[..., Any]

_HEADERS = (
    ("authorization", "HTTP_AUTHORIZATION"),
    ("accept", "HTTP_ACCEPT"),
    ("accept-language", "HTTP_ACCEPT_LANGUAGE"),
    ("content-type", "CONTENT_TYPE"),
    ("prefer", "HTTP_PREFER"),
    ("if-match", "HTTP_IF_MATCH"),
    ("if-none-match", "HTTP_IF_NONE_MATCH"),
    ("if-none-exist", "HTTP_IF_NONE_EXIST"),
    ("if-modified-since", "HTTP_IF_MODIFIED_SINCE"),
    ("x-security-context", "HTTP_X_SECURITY_CONTEXT"),
    ("idempotency-key", "HTTP_IDEMPOTENCY_KEY"),
)
_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    (
        "Access-Control-Expose-Headers",
        "ETag, Location, Last-Modified, Content-Location, X-Request-Id, Retry-After, WWW-Authenticate",
    ),
]
# A browser must run nothing of an answer, and nobody may keep what belongs to one caller.
_ALWAYS = [
    *_CORS,
    ("Cache-Control", "no-store"),
    ("Vary", "Authorization, Accept, Accept-Encoding"),
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("Referrer-Policy", "no-referrer"),
]
_TLS_ONLY = ("Strict-Transport-Security", "max-age=31536000")
_PREFLIGHT = [
    *_CORS,
    ("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    (
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Accept, Prefer, If-Match, If-None-Match, If-None-Exist, If-Modified-Since,"
        " X-Request-Id, X-Security-Context, Idempotency-Key",
    ),
    ("Access-Control-Max-Age", "86400"),
]
_STATUS = {
    200: "200 OK", 201: "201 Created", 202: "202 Accepted", 204: "204 No Content", 304: "304 Not Modified",
    400: "400 Bad Request", 401: "401 Unauthorized", 403: "403 Forbidden", 404: "404 Not Found",
    405: "405 Method Not Allowed", 406: "406 Not Acceptable", 409: "409 Conflict", 410: "410 Gone",
    412: "412 Precondition Failed", 413: "413 Content Too Large", 415: "415 Unsupported Media Type",
    422: "422 Unprocessable Content", 429: "429 Too Many Requests", 500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}  # fmt: skip
_GZIP_FROM = 1400
# The one way to write a path. The web server has decoded it once; whatever still looks encoded names nothing.
_PATH = re.compile(r"/t/([a-z0-9][a-z0-9-]{0,62})/fhir((?:/(?!\.{1,2}(?:/|\Z))[^/;%\\\x00-\x1f\x7f]+)*)/?\Z")


def fhir(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Serve `/t/{tenant}/fhir/…`."""
    started = time.perf_counter()
    request_id = environ.get("HTTP_X_REQUEST_ID", "")
    if not (0 < len(request_id) <= 100 and request_id.isprintable() and request_id.isascii()):
        request_id = uuid.uuid4().hex
    method = environ["REQUEST_METHOD"]
    if method == "OPTIONS":
        start_response("204 No Content", _PREFLIGHT)
        return []
    slug, request, response = "-", None, None
    try:
        slug, request = _request(environ, request_id)
        wanted = negotiate.wanted(_last(request.query, "_format"), request.header("accept"))
    except FhirError as error:
        wanted = negotiate.JSON
        response = dispatch.error_response(error)
        if request is not None and request.path.startswith("Binary/") and error.status == 406:
            # A Binary may be asked for in any media type; only its own content can tell whether that fits.
            response = None
    if response is None and request is not None:
        request.headers["x-request-id"] = request_id
        response = dispatch.handle(request, slug)
    assert response is not None
    try:
        body = _render(response, request, wanted)
    except FhirError as error:
        # The answer holds what XML cannot say (a control character).
        response = dispatch.error_response(error)
        body = _render(response, request, wanted)
    headers = [*response.headers.items(), *_ALWAYS, ("X-Request-Id", request_id)]
    if request is not None and request.base.startswith("https:"):
        headers.append(_TLS_ONLY)
    if body and environ.get("HTTP_ACCEPT_ENCODING") and len(body) >= _GZIP_FROM:
        body = _compressed(environ["HTTP_ACCEPT_ENCODING"], body, headers)
    if response.status not in (204, 304):
        headers.append(("Content-Type", _content_type(response, wanted)))
        headers.append(("Content-Length", str(len(body))))
    start_response(_STATUS.get(response.status) or f"{response.status} Status", headers)
    observe(slug, request_id, method, response.status, time.perf_counter() - started, dispatch.session().seconds)
    return [] if method == "HEAD" or not body else [body]


def _request(environ: dict[str, Any], request_id: str) -> tuple[str, FhirRequest]:
    found = _PATH.match(environ["PATH_INFO"])
    if found is None:
        raise NotFound("FHIR is served below /t/{tenant}/fhir, at paths without '//', '..', ';' or escapes.")
    slug, path = found.groups()
    query_string = environ.get("QUERY_STRING", "")
    query = parse_qsl(query_string, keep_blank_values=True) if query_string else []
    if query and "access_token" in query_string:
        _refuse_token(query)
    headers = {name: environ[key] for name, key in _HEADERS if key in environ}
    headers["x-request-id"] = request_id
    return slug, FhirRequest(
        method=environ["REQUEST_METHOD"],
        path=path[1:] if path.isascii() else _decoded(path[1:]),
        query=query,
        headers=headers,
        body=_body(environ) if environ["REQUEST_METHOD"] in ("POST", "PUT", "PATCH") else b"",
        base=f"{origin(environ)}/t/{slug}/fhir",
    )


def _decoded(path: str) -> str:
    # WSGI gives the path as bytes in latin-1 clothes.
    try:
        return path.encode("latin-1").decode()
    except UnicodeError:
        raise Invalid("The URL is not UTF-8.") from None


def _refuse_token(query: list[tuple[str, str]]) -> None:
    """URLs are logged everywhere: a token in one is spent. RFC 9700 4.3.2"""
    if any(name == "access_token" for name, _ in query):
        raise Invalid(
            "An access token is sent in the Authorization header, never in the URL.",
            expression="http.access_token",
            headers={"WWW-Authenticate": 'Bearer error="invalid_request"'},
        )


def _body(environ: dict[str, Any]) -> bytes:
    limit = settings.max_body_bytes
    length = environ.get("CONTENT_LENGTH") or ""
    if length.isdigit() and int(length) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    body: bytes = environ["wsgi.input"].read(limit + 1)
    encoding = environ.get("HTTP_CONTENT_ENCODING", "identity").lower()
    if encoding == "gzip":
        body = _inflated(body, limit + 1)
    elif encoding != "identity":
        raise UnsupportedMediaType("Content-Encoding can be gzip.", expression="http.Content-Encoding")
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes.")
    return body


def _inflated(body: bytes, most: int) -> bytes:
    """A gzip body, unpacked to `most` bytes at most, whatever it would become."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        plain = inflater.decompress(body, most)
    except zlib.error:
        raise Invalid("The body is not gzip.", expression="http.Content-Encoding") from None
    if len(plain) < most and (not inflater.eof or inflater.unused_data):
        raise Invalid("The body is not one whole gzip stream.", expression="http.Content-Encoding")
    return plain


def _render(response: FhirResponse, request: FhirRequest | None, wanted: str) -> bytes:
    body = response.body or b""
    if not body or response.content_type != FHIR_JSON:
        return body
    indent = request is not None and bool(request.query) and _last(request.query, "_pretty") == "true"
    if wanted == negotiate.XML:
        return to_xml(decode(body), base_registry(), pretty=indent)
    return pretty(body) if indent else body


def _content_type(response: FhirResponse, wanted: str) -> str:
    if response.content_type != FHIR_JSON:
        return response.content_type
    return f"{FHIR_XML if wanted == negotiate.XML else FHIR_JSON}; charset=utf-8"


def _compressed(accepted: str, body: bytes, headers: list[tuple[str, str]]) -> bytes:
    if "gzip" not in accepted or "gzip;q=0" in accepted.replace(" ", ""):
        return body
    headers.append(("Content-Encoding", "gzip"))
    deflater = zlib.compressobj(level=1, wbits=31)
    return deflater.compress(body) + deflater.flush()


def _last(query: Iterable[tuple[str, str]], name: str) -> str | None:
    found = None
    for key, value in query:
        if key == name:
            found = value
    return found
