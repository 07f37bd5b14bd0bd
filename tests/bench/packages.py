"""What a package costs: installing 300 resources on a running server, the next request of its processes, removing it.

python -m tests.bench.packages. The package is made of R4's own definitions under other urls: profiles with snapshots,
value sets, code systems, search parameters that are new. Seconds of the wall clock; memory of the web processes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from fhir_server.conformance.base_definitions import find, structure_names
from fhir_server.conformance.packages.packed import packed
from fhir_server.conformance.registry import base_registry
from fhir_server.core.resource_json import encode
from tests.bench import server
from tests.bench.generator import ROOT

NAME = "bench.guide"
_SHARES = (("StructureDefinition", 120), ("ValueSet", 120), ("CodeSystem", 40), ("SearchParameter", 20))
_MANIFEST = {"name": NAME, "version": "1.0.0", "fhirVersions": ["4.0.1"]}
_FIRST = 50


def guide() -> bytes:
    """A guide of 300 definitions."""
    members: dict[str, Any] = {"package/package.json": _MANIFEST}
    for kind, count in _SHARES:
        for number, each in enumerate(islice(_definitions(kind), count)):
            id_ = f"bench-{number}"
            members[f"package/{kind}-{id_}.json"] = {
                **each, "resourceType": kind, "id": id_, "url": f"http://bench.example/{kind}/{id_}", "version": "1.0.0",
            }  # fmt: skip
    return packed({name: encode(content) for name, content in members.items()})


def _definitions(kind: str) -> Iterator[dict[str, Any]]:
    if kind == "SearchParameter":
        for number in range(_FIRST):
            yield {
                "name": f"Bench{number}", "status": "active", "description": "?", "code": f"bench-{number}",
                "base": ["Basic"], "type": "token",
                "expression": f"Basic.extension.where(url = 'http://bench.example/{number}').value",
            }  # fmt: skip
        return
    terminology = base_registry().terminology
    urls = structure_names() if kind == "StructureDefinition" else terminology.all(_FOLDERS[kind])
    for url in sorted(urls):
        found = find(kind, url)
        if found is not None and (kind != "StructureDefinition" or found.get("derivation") == "constraint"):
            yield found


_FOLDERS = {"ValueSet": "value-sets", "CodeSystem": "code-systems"}


def _web_megabytes(data: Path) -> float:
    """The resident memory of the web processes of the server with this data folder."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = b"fhir_server.app:app" in (folder / "cmdline").read_bytes()
            ours = ours and f"SALAM_DATA={data}\0".encode() in (folder / "environ").read_bytes()
            status = (folder / "status").read_text() if ours else ""
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return total / 1024


class _Site:
    """A running server: commands on its data folder, requests to its tenant."""

    def __init__(self, serving: server.Server) -> None:
        assert serving.data is not None
        self.data, self._target = serving.data, serving.target
        self._environment = {**os.environ, "SALAM_DATA": str(serving.data)}

    def cli(self, *arguments: str) -> tuple[Any, float]:
        """What a command of `package` prints, and the seconds that it takes."""
        command = [sys.executable, "-m", "fhir_server.cli", "package", *arguments, "--json"]
        began = time.perf_counter()
        done = subprocess.run(
            command, check=True, stdout=subprocess.PIPE, cwd=ROOT, env=self._environment, text=True
        )  # fmt: skip
        return json.loads(done.stdout), time.perf_counter() - began

    def get(self, path: str) -> float:
        """Milliseconds of a request."""
        headers = {"Authorization": f"Bearer {self._target.token}"}
        began = time.perf_counter()
        with urllib.request.urlopen(urllib.request.Request(f"{self._target.base}/{path}", headers=headers)) as answer:
            answer.read()
        return (time.perf_counter() - began) * 1000

    def searches(self) -> list[float]:
        """Milliseconds of some searches, sorted."""
        return sorted(self.get("Patient?_count=1") for _ in range(_FIRST))


def main() -> None:
    """Measure once, and print."""
    content = guide()
    with server.started() as serving:
        site = _Site(serving)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{NAME}.tgz"
            file.write_bytes(content)
            site.cli("add", str(file))
        usual, before = site.searches(), _web_megabytes(site.data)
        made, took = site.cli("install", NAME, "--tenant", server.TENANT)
        after = site.searches()
        print(f"load of the machine           {os.getloadavg()[0]:8.1f}")
        print(f"package                       {len(content) / 1e6:8.2f} MB packed")
        print(f"resources                     {made['installed'][0]['resources']:8}")
        print(f"install, command line and all {took:8.2f} s")
        print(f"a search before, median       {usual[_FIRST // 2]:8.1f} ms")
        print(f"the slowest search after      {after[-1]:8.1f} ms (each process loads the definitions once)")
        print(f"a search after, median        {after[_FIRST // 2]:8.1f} ms")
        print(f"metadata, first               {site.get('metadata'):8.1f} ms")
        print(f"web processes                 {before:8.0f} MB, {_web_megabytes(site.data):.0f} MB after")
        _, took = site.cli("remove", NAME, "--tenant", server.TENANT)
        print(f"remove, command line and all  {took:8.2f} s")


if __name__ == "__main__":
    main()
