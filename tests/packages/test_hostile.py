"""What no honest tool writes: each refused within a budget of time and memory, and nothing of it installed."""

import gzip
import io
import resource
import tarfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from fhir_server.conformance.packages import cache
from fhir_server.conformance.packages.content import read_package
from fhir_server.conformance.packages.packed import packed
from fhir_server.conformance.packages.tar import Limits, files
from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError
from fhir_server.core.resource_json import encode
from fhir_server.operations import packages as operation
from fhir_server.rest.dispatch import session
from fhir_server.settings import settings
from fhir_server.storage import definitions, packages, tenants
from tests.client import Client
from tests.conftest import TestTenant
from tests.packages.making import FHIR, URL, archive, guide, hostile, install, manifest, profile, value_set

SECONDS = 10.0
MEMORY = 64 << 20
GOOD = encode(profile("good"))


def _bomb(size: int) -> bytes:
    """One member of zeros that packs a thousandfold."""
    return hostile(("package/StructureDefinition-zeros.json", bytes(size)))


def _endless() -> bytes:
    """A stream that goes on and on behind the archive's header."""
    raw = io.BytesIO()
    with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=9) as file:
        member = tarfile.TarInfo("package/package.json")
        member.size = 7 << 30
        file.write(member.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            file.write(bytes(1 << 20))
    return raw.getvalue()


def _long_header() -> bytes:
    """An extended header that says it has gigabytes."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = b"L", 4 << 30
    return gzip.compress(member.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 20))


def _many(count: int) -> bytes:
    """So many files that say `{}`. The headers differ in the number and the checksum alone."""
    member = tarfile.TarInfo("package/000000.json")
    member.size = 2
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    summed = sum(header) - sum(header[148:156]) + 8 * 32 - 6 * ord("0")
    raw = bytearray()
    for number in range(count):
        digits = b"%06d" % number
        header[8:14] = digits
        header[148:156] = b"%06o\0 " % (summed + sum(digits))
        raw += header + b"{}".ljust(512, b"\0")
    return gzip.compress(bytes(raw) + bytes(1024), 1)


def _circle() -> bytes:
    first, second = (f"{URL}/StructureDefinition/{name}" for name in ("first", "second"))
    return guide(
        "test.circle", "1.0.0", profile("first", baseDefinition=second), profile("second", baseDefinition=first)
    )


def _circle_with_snapshots() -> bytes:
    own = {"element": [{"id": "Patient", "path": "Patient", "min": 0, "max": "*"}]}
    first, second = (f"{URL}/StructureDefinition/{name}" for name in ("first", "second"))
    return guide(
        "test.circle", "1.0.0", profile("first", baseDefinition=second, snapshot=own),
        profile("second", baseDefinition=first, snapshot=own),
    )  # fmt: skip


def _twice(name: str) -> bytes:
    return archive([("package/package.json", encode(manifest())), (name, GOOD), (name, GOOD)])


def _sets(*includes: str) -> bytes:
    """Value sets in a ring, each including the next."""
    rings = [value_set(name, {"valueSet": [f"{URL}/ValueSet/{other}"]}) for name, other in
             zip(includes, (*includes[1:], includes[0]), strict=True)]  # fmt: skip
    return guide("test.ring", "1.0.0", *rings)


def _says(**more: Any) -> bytes:
    """A package whose manifest says this."""
    return packed({"package/package.json": encode({**manifest(), **more}), "package/a.json": GOOD})


def _on(name: str, base: str) -> Any:
    return profile(name, baseDefinition=f"{URL}/StructureDefinition/{base}")


def _deep(depth: int) -> list[Any]:
    paths = ["Patient" + ".extension" * n for n in range(1, depth)]
    return [{"id": path, "path": path} for path in paths]


def _slices(count: int) -> list[Any]:
    path = "Patient.extension"
    slicing = {"discriminator": [{"type": "value", "path": "url"}], "rules": "open"}
    slices = [{"id": f"{path}:s{n}", "path": path, "sliceName": f"s{n}"} for n in range(count)]
    return [{"id": path, "path": path, "slicing": slicing}, *slices]


NAMED = "package/StructureDefinition-x.json"
DEEP = b'{"resourceType":"ValueSet","id":"x","x":' + b"[" * 5000 + b"]" * 5000 + b"}"
CASES: dict[str, tuple[Callable[[], bytes], int, str]] = {
    "bomb": (lambda: _bomb(30 << 20), 413, "times its size"),
    "large member": (lambda: _bomb(40 << 20), 413, "StructureDefinition-zeros.json has"),
    "endless": (_endless, 413, "package/package.json"),
    "long header": (_long_header, 413, "header"),
    "many members": (lambda: _many(100_000), 413, "more than 20000 members"),
    "dots": (lambda: hostile(("package/../../etc/passwd", b"x")), 422, "package/../../etc/passwd"),
    "absolute": (lambda: hostile(("/etc/passwd", b"x")), 422, "/etc/passwd"),
    "backslash": (lambda: hostile(("package\\..\\x.json", b"x")), 422, "no name of a member"),
    "symlink": (lambda: hostile((NAMED, b""), kind=tarfile.SYMTYPE, target="/etc/passwd"), 422, f"{NAMED} is a link"),
    "hard link": (lambda: hostile((NAMED, b""), kind=tarfile.LNKTYPE, target="package/package.json"), 422, NAMED),
    "device": (lambda: hostile((NAMED, b""), kind=tarfile.CHRTYPE), 422, f"{NAMED} is a device"),
    "pipe": (lambda: hostile((NAMED, b""), kind=tarfile.FIFOTYPE), 422, f"{NAMED} is a pipe"),
    "twice": (lambda: _twice(NAMED), 422, f"two members named {NAMED}"),
    "deep folders": (lambda: hostile(("/".join(["package", *"abcdefghij", "x.json"]), b"x")), 413, "deeper"),
    "deep JSON": (lambda: hostile((NAMED, DEEP)), 422, NAMED),
    "broken JSON": (lambda: hostile((NAMED, b'{"resourceType":')), 422, NAMED),
    "not text": (lambda: hostile((NAMED, b"\xff\xfe\x00")), 422, NAMED),
    "doubled property": (lambda: hostile((NAMED, b'{"id":"a","id":"b"}')), 422, NAMED),
    "no archive": (lambda: b"PK\x03\x04 something else", 422, "gzipped tar"),
    "gzip of something": (lambda: gzip.compress(b"hello" * 1000), 422, "tar archive"),
    "cut off": (lambda: guide("a.b", "1.0.0", profile("p"))[:-200], 422, ""),
    "without its last bytes": (lambda: guide("a.b", "1.0.0", profile("p"))[:-4], 422, "last bytes"),
    "with another checksum": (lambda: guide("a.b", "1.0.0", profile("p"))[:-8] + b"\0" * 8, 422, "damaged"),
    "no manifest": (lambda: archive([(NAMED, GOOD)]), 422, "package/package.json"),
    "manifest is a list": (lambda: packed({"package/package.json": b"[]"}), 422, "package/package.json"),
    "name leads out": (lambda: _says(name="../../etc"), 422, "name"),
    "version leads out": (lambda: _says(version="../1"), 422, "version"),
    "R5": (lambda: _says(fhirVersions=["5.0.0"]), 422, "5.0.0"),
    "R4B": (lambda: _says(fhirVersions=["4.3.0"]), 422, "4.3.0"),
    "no FHIR": (lambda: _says(fhirVersions=[]), 422, "not for FHIR R4"),
    "dependencies are a list": (lambda: _says(dependencies=["a"]), 422, "dependencies"),
    "dependency leads out": (lambda: _says(dependencies={"../x": "1"}), 422, "dependencies"),
    "resource of R5": (lambda: guide("a.b", "1.0.0", profile("p", fhirVersion="5.0.0")), 422, "FHIR 5.0.0"),
    "id twice": (
        lambda: packed({"package/package.json": encode(manifest()), "package/a.json": GOOD, "package/b.json": GOOD}),
        422, "package/b.json and package/a.json are both",
    ),
    "canonical twice": (
        lambda: guide("a.b", "1.0.0", value_set("a"), {**value_set("b"), "url": f"{URL}/ValueSet/a"}), 422, "same url",
    ),
    "FHIR itself": (lambda: _says(name="hl7.fhir.r4.core", version="4.0.1"), 409, "built in"),
    "another Patient": (
        lambda: guide("a.b", "1.0.0", profile("p", url=f"{FHIR}Patient")),
        422,
        "built in",
    ),
    "circle of bases": (_circle, 422, "circle"),
    "circle of bases with snapshots": (_circle_with_snapshots, 422, "circle"),
    "set in itself": (lambda: _sets("a"), 422, "includes itself"),
    "sets in a ring": (lambda: _sets("a", "b", "c"), 422, "includes itself"),
    "500 sets in a ring": (lambda: _sets(*(f"v{n}" for n in range(500))), 422, "includes itself"),
    "500 bases on one another": (
        lambda: guide("a.b", "1.0.0", *(_on(f"p{n}", f"p{n + 1}") for n in range(500))), 422, "p0.json",
    ),
    "path without end": (lambda: guide("a.b", "1.0.0", profile("p", elements=_deep(300))), 422, "-p.json"),
    "6,000 slices": (lambda: guide("a.b", "1.0.0", profile("p", elements=_slices(6_000))), 422, "-p.json"),
    "base unknown": (lambda: guide("a.b", "1.0.0", profile("p", baseDefinition=f"{FHIR}X")), 422, "-p.json"),
}  # fmt: skip


@contextmanager
def budget() -> Iterator[None]:
    """At most so many seconds of the processor and so much memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    yield
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < (MEMORY * 4) >> 10


def _state(tenant: TestTenant) -> Any:
    """Everything that installing would change."""
    db = session()
    state = tenants.find(db, tenant.slug)
    db.enter(tenant.id, None, state.registry_version)
    with db.hold():
        held = packages.all_packages(db, tenant.id), definitions.all_definitions(db, tenant.id)
        rows = [db.run([(f"SELECT count(*) FROM {name} WHERE tenant_id = $1", (tenant.id,))])[0] for name in
                ("resource", "resource_history", "change", "token", "search_parameter_job")]  # fmt: skip
    db.rollback()
    return held, rows, state.registry_version


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_nothing_is_installed(tenant: TestTenant, client: Client, name: str) -> None:
    make, status, said = CASES[name]
    content, before = make(), _state(tenant)
    with budget():
        answer = install(client, content)
    assert answer.status == status, answer.text
    assert said in answer.text
    assert _state(tenant) == before


def test_the_check_of_the_state_can_fail(tenant: TestTenant, client: Client) -> None:
    before = _state(tenant)
    assert install(client, guide("test.good", "1.0.0", profile("good"))).status == 200
    assert _state(tenant) != before


def test_what_somebody_sends_is_not_checked_forever(
    tenant: TestTenant, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation, "_SECONDS", 0.0)
    before = _state(tenant)
    answer = install(client, guide("test.slow", "1.0.0", profile("slow")))
    assert answer.status == 422
    assert answer.issues[0]["code"] == "too-costly"
    assert _state(tenant) == before


def test_the_cache_takes_none_of_them(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "data_dir", str(tmp_path))
    for name in ("../x", "a/b", "", "x" * 300):
        with pytest.raises(FhirError):
            cache.read(name, "1.0.0")
        with pytest.raises(FhirError):
            cache.drop(name, "..")


def test_a_bomb_is_not_unpacked_into_memory() -> None:
    content = _bomb(400 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(FhirError):
            read_package(content, base_registry())
        assert tracemalloc.get_traced_memory()[1] < MEMORY
    finally:
        tracemalloc.stop()


@hypothesis(max_examples=150)
@given(st.binary(max_size=600), st.integers(0, 2000), st.integers(0, 255))
def test_damage_gives_an_error_or_the_same_names(noise: bytes, place: int, byte: int) -> None:
    """Any bytes, and a good archive with one byte changed inside of the compression."""
    raw = gzip.decompress(guide("a.b", "1.0.0", profile("p")))
    changed = bytearray(raw)
    changed[place % len(raw)] = byte
    for content in (noise, gzip.compress(noise), gzip.compress(bytes(changed), 1)):
        found, status = _read(content)
        assert status in (200, 413, 422)
        assert all(".." not in name.split("/") and len(text) <= 1 << 20 for name, text in found)


def _read(content: bytes) -> tuple[list[tuple[str, bytes]], int]:
    """What is read of an archive before it is refused, and the status of the refusal."""
    found = []
    try:
        for each in files(content, lambda name: True, Limits(member=1 << 20)):
            found.append(each)  # noqa: PERF402  (what came before an error counts)
    except FhirError as error:
        return found, error.status
    return found, 200


def test_markup_that_could_run_is_not_stored_wherever_it_stands(client: Client) -> None:
    """A narrative of the resource itself is left out; deeper ones keep the resource out."""
    harm = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><script>1</script></div>'}
    plain = {**profile("narrated"), "text": harm}
    assert install(client, guide("test.narrated", "1.0.0", plain)).status == 200
    assert "text" not in client.get("StructureDefinition/narrated").json
    composition = {
        "resourceType": "Composition", "id": "deep", "status": "final", "type": {"text": "x"}, "date": "2026-01-01",
        "author": [{"display": "x"}], "title": "x", "section": [{"title": "x", "text": harm}],
    }  # fmt: skip
    files = {"package/example/Composition-deep.json": encode(composition)}
    refused = install(client, guide("test.deep", "1.0.0", profile("deep"), files=files), examples=True)
    assert refused.status == 422 and "script" in refused.text
    assert client.get("Composition/deep").status == 404
