"""Codes by SMS: sent like any message, once and in time; never without somebody to get them."""

from datetime import timedelta

import pytest

from fhir_server.core import clock
from fhir_server.features.notifications import code_messages
from fhir_server.features.notifications.code_messages import Place
from tests.features.notifications.sending import Clinic
from tests.features.notifications.test_sandbox import given

NUMBER = "+212612345678"


def send(clinic: Clinic, address: str = NUMBER, language: str = "fr", code: str = "123456") -> None:
    ctx = clinic.context()
    code_messages.send(ctx.db, ctx.tenant, Place("sms", address), language, code, clock.now())
    ctx.db.commit()


def states(clinic: Clinic) -> list[tuple[str, str]]:
    return sorted((row.state, row.error) for row in clinic.messages().values() if row.kind == "code")


def test_a_code_arrives(clinic: Clinic) -> None:
    send(clinic)
    clinic.tend()
    assert states(clinic) == [("sent", "")]
    for _ in range(3):
        clinic.tend(seconds=30)
    assert states(clinic) == [("delivered", "")]
    assert len(given(clinic)) == 1
    # It is no record of anybody's, and what was sent is not kept.
    assert all(row.sealed == b"" and row.rid == 0 for row in clinic.messages().values() if row.kind == "code")


def test_at_night_too(clinic: Clinic) -> None:
    clinic.settings = {"quiet_from": "00:00", "quiet_until": "23:59"}
    send(clinic)
    clinic.tend()
    assert states(clinic) == [("sent", "")]


def test_too_late_or_for_nobody_is_not_sent(clinic: Clinic) -> None:
    send(clinic, address="")
    clinic.tend()
    assert states(clinic) == [("stopped", "unwanted")]
    send(clinic)
    clinic.tend(minutes=11)
    assert states(clinic) == [("stopped", "unwanted")] * 2
    assert given(clinic) == []


def test_the_budget_holds_for_codes(clinic: Clinic) -> None:
    clinic.settings = {"monthly_budget": "0.05", "currency": "MAD", "costs": {"sms": "0.05"}}
    send(clinic)
    send(clinic)
    clinic.tend()
    assert states(clinic) == [("sent", ""), ("stopped", "budget")]


def test_a_number_that_is_none_ends_there(clinic: Clinic) -> None:
    send(clinic, address="+212605550001")
    clinic.tend()
    assert states(clinic)[0][0] == "failed"


@pytest.mark.parametrize("language", ["fr", "en", "es", "ar", "wo", ""])
def test_one_part_in_every_language(clinic: Clinic, language: str) -> None:
    from fhir_server.features.notifications import text_parts

    texts = code_messages._texts().get(language) or code_messages._texts()["fr"]
    filled = code_messages._filled(texts["sms"], {"code": "123456", "clinic": "Clinique Al Amal, Casablanca"})
    assert text_parts.measure(text_parts.shortest(filled)).parts <= (2 if language == "ar" else 1)
    send(clinic, language=language)
    assert timedelta(seconds=600) == timedelta(seconds=code_messages.CODE_SECONDS)


def test_no_channel_no_codes(clinic: Clinic) -> None:
    clinic.settings = {"channels": ["email", "in-app"]}
    tenant = clinic.context().tenant
    assert not code_messages.carried(tenant, "sms") and code_messages.carried(tenant, "email")
