"""What packages need: versions, circles, conflicts, and everything that is missing at once."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from fhir_server.conformance.packages import cache
from fhir_server.conformance.packages.content import Package, read_package
from fhir_server.conformance.packages.dependencies import Resolver
from fhir_server.conformance.packages.versions import chosen
from fhir_server.conformance.registry import base_registry
from fhir_server.core.errors import FhirError
from tests.client import Client
from tests.conftest import TestTenant
from tests.packages.making import guide, install, manifest, profile, remove, told


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test's own."""
    monkeypatch.setattr(cache, "folder", lambda: tmp_path / "packages")


@pytest.fixture
def client(new_tenant: Callable[[], TestTenant]) -> Client:
    """A client that may do everything in a tenant of the test's own."""
    return new_tenant().client()


def keep(name: str, version: str, **needs: str) -> bytes:
    """Put a small guide into the cache. `needs`: `b_c="1.0.0"` for b.c."""
    dependencies = {key.replace("_", "."): wanted for key, wanted in needs.items()}
    own = profile(f"{name}-p".replace(".", "-"), version=version)
    content = guide(name, version, own, dependencies=dependencies)
    read = read_package(content, base_registry())
    cache.add(read.name, read.version, content)
    return content


def labels(client: Client) -> list[tuple[str, bool]]:
    """What is installed, and whether it was asked for."""
    return [(f"{p['name']}#{p['version']}", p["asked"]) for p in told(client.get("$packages"), "package")]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("1.0.0", "1.0.0"),
        ("4.0.x", "4.0.10"),
        ("4.x", "4.1.0"),
        ("latest", "4.1.0"),
        ("5.0.0-ballot", "5.0.0-ballot"),
        ("9.9.9", None),
        ("4.0", None),
    ],
)
def test_which_version_is_meant(wanted: str, expected: str | None) -> None:
    assert chosen(wanted, ["4.0.2", "1.0.0", "4.0.10", "4.1.0", "5.0.0-ballot"]) == expected


@pytest.mark.parametrize("wanted", ["current", "dev", "current$main"])
def test_moving_versions_are_refused(client: Client, wanted: str) -> None:
    keep("a.a", "1.0.0")
    answer = install(client, name="a.a", version=wanted)
    assert answer.status == 422
    assert "changes" in answer.issues[0]["details"]["text"]


def test_what_is_needed_comes_along(client: Client) -> None:
    keep("a.a", "1.0.0", b_b="1.0.x", hl7_fhir_r4_core="4.0.1")
    keep("b.b", "1.0.0", c_c="latest")
    keep("b.b", "1.0.3", c_c="latest")
    keep("b.b", "1.1.0")
    keep("c.c", "1.0.0")
    keep("c.c", "2.0.0-draft")
    answer = install(client, name="a.a")
    assert answer.status == 200, answer.text
    assert [p["name"] for p in told(answer, "package")] == ["c.c", "b.b", "a.a"]
    assert labels(client) == [("a.a#1.0.0", True), ("b.b#1.0.3", False), ("c.c#1.0.0", False)]
    used = told(client.get("$packages?name=c.c"), "package")[0]
    assert used["used-by"] == "b.b#1.0.3"
    assert used["resource"] == "StructureDefinition/c-c-p"


def test_everything_that_is_missing_is_said_at_once(client: Client) -> None:
    content = keep("a.a", "1.0.0", b_b="1.0.0", x_x="1.0.0", hl7_terminology="5.0.0")
    keep("b.b", "1.0.0", y_y="2.0.x", z_z="current")
    answer = install(client, name="a.a")
    assert answer.status == 422
    for each in ("x.x#1.0.0 (for a.a#1.0.0)", "hl7.terminology#5.0.0", "y.y#2.0.x (for b.b#1.0.0)", "z.z#current"):
        assert each in answer.text
    assert labels(client) == []
    assert install(client, name="a.a", without_missing=True).status == 200
    assert labels(client) == [("a.a#1.0.0", True), ("b.b#1.0.0", False)]
    assert told(install(client, content)) == ["a.a#1.0.0 is installed already."]


def test_a_circle_of_packages_ends(client: Client) -> None:
    keep("a.a", "1.0.0", b_b="1.0.0")
    keep("b.b", "1.0.0", c_c="1.0.0")
    keep("c.c", "1.0.0", a_a="1.0.0")
    assert install(client, name="a.a").status == 200
    assert [label for label, _ in labels(client)] == ["a.a#1.0.0", "b.b#1.0.0", "c.c#1.0.0"]
    refused = remove(client, "a.a")
    assert refused.status == 409
    assert "c.c#1.0.0" in refused.text


def test_two_versions_of_one_package_are_reported_and_stand_side_by_side(client: Client) -> None:
    keep("a.a", "1.0.0", b_b="1.0.0", c_c="1.0.0")
    keep("b.b", "1.0.0", d_d="1.0.0")
    keep("c.c", "1.0.0", d_d="2.0.0")
    keep("d.d", "1.0.0")
    keep("d.d", "2.0.0")
    answer = install(client, name="a.a")
    assert [note for note in told(answer) if "d.d is wanted in the versions 1.0.0, 2.0.0" in note]
    assert ("d.d#1.0.0", False) in labels(client)
    assert ("d.d#2.0.0", False) in labels(client)


def test_what_others_rest_on_is_not_removed(client: Client) -> None:
    keep("a.a", "1.0.0", b_b="1.0.0")
    keep("b.b", "1.0.0")
    assert install(client, name="a.a").status == 200
    refused = remove(client, "b.b")
    assert refused.status == 409
    assert "a.a#1.0.0" in refused.text
    assert told(remove(client, "a.a")) == ["b.b#1.0.0 came as a dependency, and nothing uses it any more."]
    assert remove(client, "b.b").status == 200
    assert labels(client) == []


def test_a_dependency_can_be_asked_for_later(client: Client) -> None:
    keep("a.a", "1.0.0", b_b="1.0.0")
    keep("b.b", "1.0.0")
    assert install(client, name="a.a").status == 200
    assert install(client, name="b.b").status == 200
    assert labels(client) == [("a.a#1.0.0", True), ("b.b#1.0.0", True)]


def test_replacing_moves_those_who_can_live_with_the_new_version(client: Client) -> None:
    keep("lib.x", "1.0.0")
    keep("lib.x", "1.0.1")
    keep("lib.x", "2.0.0")
    keep("a.a", "1.0.0", lib_x="1.0.0")
    assert install(client, name="a.a").status == 200
    refused = install(client, name="lib.x", version="2.0.0", replace=True)
    assert refused.status == 409
    assert "a.a#1.0.0 needs lib.x#1.0.0" in refused.text
    assert remove(client, "a.a").status == 200
    keep("b.b", "1.0.0", lib_x="1.0.x")
    assert install(client, name="b.b").status == 200
    assert install(client, name="lib.x", version="1.0.1", replace=True).status == 200
    assert told(client.get("$packages?name=b.b"), "package")[0]["uses"] == "lib.x#1.0.1"


def test_the_cache_is_shown_to_who_may_install(client: Client, new_tenant: Callable[[], TestTenant]) -> None:
    keep("a.a", "1.0.0", b_b="1.0.0")
    (available,) = told(client.get("$packages"), "available")
    assert available == {
        "name": "a.a", "version": "1.0.0", "title": "Guide a.a", "is-installed": False, "needs": "b.b#1.0.0",
    }  # fmt: skip
    assert told(new_tenant().client("system/*.rs").get("$packages"), "available") == []
    assert client.get("$packages?name=nobody.here").status == 404
    assert install(client, name="nobody.here").status == 404
    assert install(client, name="../../etc/passwd").status == 400
    assert install(client, replace=True).status == 400


def test_a_cached_file_that_is_another_package_is_refused(client: Client) -> None:
    cache.add("a.a", "1.0.0", guide("b.b", "2.0.0", profile("p")))
    answer = install(client, name="a.a")
    assert answer.status == 422
    assert "b.b#2.0.0" in answer.text


NAMES = ["p.a", "p.b", "p.c", "p.d"]
needs = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["1.0.0", "2.0.0", "1.0.x", "latest", "dev"]))


@hypothesis(max_examples=100)
@given(st.dictionaries(st.tuples(st.sampled_from(NAMES), st.sampled_from(["1.0.0", "2.0.0"])), needs, min_size=1))
def test_any_net_of_packages_is_resolved_or_said_to_be_missing(net: dict[tuple[str, str], dict[str, str]]) -> None:
    held = {key: _named(*key, wanted) for key, wanted in net.items()}
    first = next(iter(held.values()))
    resolver = Resolver((), lambda name: [version for known, version in held if known == name],
                        lambda name, version: held[name, version])  # fmt: skip
    result = resolver.resolve(first)
    names = [(each.name, each.version) for each in result.packages]
    assert len(names) == len(set(names))
    assert names[-1] == (first.name, first.version)
    wanted = sum(len(each.dependencies) for each in result.packages)
    assert wanted == sum(map(len, result.uses.values())) + len(result.missing)
    assert {(name, version) for uses in result.uses.values() for name, version in uses.items()} <= set(names)


def _named(name: str, version: str, wanted: dict[str, str]) -> Package:
    return Package(name, version, b"", manifest(name, version, dependencies=wanted), ())


def test_a_long_chain_of_packages_is_followed_without_recursion() -> None:
    chain = {(f"p.n{i}", "1.0.0"): _named(f"p.n{i}", "1.0.0", {f"p.n{i + 1}": "1.0.0"}) for i in range(5000)}

    def read(name: str, version: str) -> Package:
        return chain[name, version]

    resolver = Resolver((), lambda name: ["1.0.0"] if (name, "1.0.0") in chain else [], read)
    result = resolver.resolve(chain["p.n0", "1.0.0"])
    assert len(result.packages) == 200
    assert len(result.missing) == 1


def test_a_version_that_moves_is_an_error_of_its_own() -> None:
    with pytest.raises(FhirError):
        chosen("dev", ["1.0.0"])
