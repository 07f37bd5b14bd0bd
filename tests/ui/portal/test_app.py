"""What makes the pages an app: each clinic has its own, and it says nothing of patients."""

import json
import re

import pytest

from tests.conftest import TestTenant
from tests.ui.conftest import Demo


def test_a_manifest_that_can_be_installed(clinic: Demo) -> None:
    answer = clinic.person().get("manifest.webmanifest")
    found = json.loads(answer.data)
    home = f"/t/{clinic.slug}/ui/"
    assert answer.headers["Content-Type"] == "application/manifest+json"
    assert (
        found["id"] == found["scope"] == home
        and found["start_url"].startswith(home)
        and found["display"] == "standalone"
    )
    assert found["name"] and re.fullmatch("#[0-9a-f]{6}", found["theme_color"])
    sizes = {(icon["sizes"], icon["purpose"]) for icon in found["icons"]}
    assert {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")} <= sizes
    for icon in found["icons"]:
        picture = clinic.person().get(icon["src"])
        assert (
            picture.status_code == 200
            and picture.headers["Content-Type"] == "image/png"
            and picture.data[:4] == b"\x89PNG"
        )


@pytest.mark.parametrize("size", ["1", "4096", "999999999", "-1", "x"])
def test_only_the_sizes_that_are_used_are_drawn(clinic: Demo, size: str) -> None:
    assert clinic.person().get(f"icon-{size}.png").status_code == 404


def test_two_clinics_of_one_host_never_mix(clinic: Demo, tenant: TestTenant) -> None:
    mine, other = (clinic.person().get(f"/t/{slug}/ui/sw.js") for slug in (clinic.slug, tenant.slug))
    assert f'const SLUG="{clinic.slug}"' in mine.text and f'const SLUG="{tenant.slug}"' in other.text
    assert clinic.slug not in other.text and "Service-Worker-Allowed" not in mine.headers
    assert mine.headers["Content-Type"].startswith("text/javascript") and mine.headers["Cache-Control"] == "no-cache"
    # Every cache that it opens or deletes has the clinic's name in it.
    assert "`salam:${SLUG}:" in mine.text and len(re.findall(r'caches\.(?:open|delete)\("', mine.text)) == 0


def test_the_worker_is_asked_for_again_only_when_it_changed(clinic: Demo) -> None:
    answer = clinic.person().get("sw.js")
    again = clinic.person().get("sw.js", **{"If-None-Match": answer.headers["ETag"]})
    assert again.status_code in (200, 304) and answer.headers["ETag"]


def test_the_page_without_a_network_is_the_same_for_everybody(clinic: Demo) -> None:
    visitor, known = clinic.person().get("offline"), clinic.person("patient").get("offline")
    assert visitor.status_code == 200 and "Pas de connexion" in visitor.text
    strip = re.compile(r'<meta name="csrf"[^>]*>\s*')
    assert strip.sub("", known.text).split() == visitor.text.split()


def test_nothing_of_it_sets_a_cookie(clinic: Demo) -> None:
    for path in ("sw.js", "manifest.webmanifest", "icon-192.png", "offline"):
        assert "Set-Cookie" not in clinic.person().get(path).headers


@pytest.mark.parametrize("path", ["sw.js", "manifest.webmanifest", "icon-192.png", "offline"])
def test_a_clinic_that_is_not_there_has_none(clinic: Demo, path: str) -> None:
    assert clinic.person().get(f"/t/nowhere/ui/{path}").status_code == 404
