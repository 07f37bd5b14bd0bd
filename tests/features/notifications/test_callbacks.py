"""Callbacks: signed ones count, in whatever order and however often they come; forged ones change nothing."""

from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator
from werkzeug.test import create_environ, run_wsgi_app

from fhir_server.app import app
from fhir_server.features.notifications import channels, signature
from fhir_server.features.notifications.provider import Accepted, Unclear
from fhir_server.storage.messages import Message
from tests.client import ORIGIN
from tests.features.notifications.sending import Clinic, Scripted, use


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted(name=channels.SANDBOX)
    use(made, monkeypatch)
    return made


def post(slug: str, path: str, fields: Mapping[str, str], signed: str | None = "right", query: str = "") -> tuple[int, str]:
    """POST a form as Twilio does; status and body."""
    where = f"/t/{slug}/messages/twilio/{path}"
    url = ORIGIN + where + (f"?{query}" if query else "")
    if signed == "right":
        signed = RequestValidator(channels.callback_secret()).compute_signature(url, dict(fields))
    headers = {} if signed is None else {"X-Twilio-Signature": signed}
    environ = create_environ(
        where, ORIGIN, query_string=query, method="POST", data=urlencode(fields), headers=headers,
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    parts, status, _ = run_wsgi_app(app, environ, buffered=True)
    return int(status.split()[0]), b"".join(parts).decode()


def sent(clinic: Clinic, occasion: str = "o1", channel: str = "sms") -> Message:
    clinic.enqueue(clinic.draft(occasion, channel))
    clinic.tend()
    return clinic.messages()[f"{occasion}/{channel}"]


def tell(clinic: Clinic, sid: str, status: str, **more: str) -> int:
    return post(clinic.tenant.slug, "status", {"MessageSid": sid, "MessageStatus": status, **more})[0]


def state(clinic: Clinic, name: str = "o1/sms") -> str:
    return clinic.messages()[name].state


def test_delivered(clinic: Clinic, provider: Scripted) -> None:
    sid = sent(clinic).provider_id
    assert tell(clinic, sid, "sent") == 204
    assert tell(clinic, sid, "delivered") == 204
    told = clinic.communication("o1/sms")
    assert state(clinic) == "delivered" and told["status"] == "completed" and told["received"] >= told["sent"]


# scheduling-queue.md 14, row 13
@pytest.mark.parametrize("order", [
    ["delivered", "sent", "queued"], ["delivered", "delivered", "delivered"], ["sent", "sent", "delivered", "sending"],
    ["delivered", "failed"], ["delivered", "undelivered"],
], ids=lambda order: " ".join(order))  # fmt: skip
def test_no_order_moves_it_backwards(clinic: Clinic, provider: Scripted, order: list[str]) -> None:
    sid = sent(clinic).provider_id
    for status in order:
        assert tell(clinic, sid, status) == 204
    assert state(clinic) == "delivered"
    history = clinic.tenant.client().get(f"Communication/{clinic.communication('o1/sms')['id']}/_history").json
    statuses = [entry["resource"]["status"] for entry in history["entry"]]
    assert statuses == ["completed", "in-progress", "preparation"]


def test_what_failed_stays_failed(clinic: Clinic, provider: Scripted) -> None:
    sid = sent(clinic).provider_id
    for status in ("undelivered", "sent", "delivered", "undelivered"):
        tell(clinic, sid, status, ErrorCode="30003")
    told = clinic.communication("o1/sms")
    assert state(clinic) == "failed" and told["status"] == "not-done"
    assert told["statusReason"]["coding"][0]["code"] == "recipient-unavailable"


def test_whatsapp_outside_its_hours_falls_to_sms_once(clinic: Clinic, provider: Scripted) -> None:
    clinic.others = {"sms": clinic.draft("")}
    sid = sent(clinic, channel="whatsapp").provider_id
    for _ in range(3):
        tell(clinic, sid, "failed", ErrorCode="63016")
    clinic.tend()
    assert (state(clinic, "o1/whatsapp"), state(clinic, "o1/sms"), len(provider.sent)) == ("failed", "sent", 2)
    assert clinic.messages()["o1/whatsapp"].error == "63016"


@pytest.mark.parametrize("forged", [None, "", "AAAA", "é"])
def test_a_forged_callback_changes_nothing(clinic: Clinic, provider: Scripted, forged: str | None) -> None:
    sid = sent(clinic).provider_id
    fields = {"MessageSid": sid, "MessageStatus": "delivered"}
    assert post(clinic.tenant.slug, "status", fields, signed=forged)[0] == 403
    assert state(clinic) == "sent"


def test_one_changed_byte_and_another_place_are_refused(clinic: Clinic, provider: Scripted) -> None:
    sid = sent(clinic).provider_id
    url = f"{ORIGIN}/t/{clinic.tenant.slug}/messages/twilio/status"
    fields = {"MessageSid": sid, "MessageStatus": "sent"}
    right = signature.sign(channels.callback_secret(), url, {name: [text] for name, text in fields.items()})
    slug = clinic.tenant.slug
    assert post(slug, "status", {**fields, "MessageStatus": "delivered"}, right)[0] == 403
    assert post(slug, "status", {**fields, "Extra": "1"}, right)[0] == 403
    assert post(slug, "status", fields, right, query="message=1")[0] == 403
    assert post(slug, "inbound", fields, right)[0] == 403
    assert post(slug, "status", fields, right)[0] == 204


def test_a_message_whose_name_was_never_heard_is_found_by_ours(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Unclear("timeout")]
    row = sent(clinic)
    assert (row.state, row.provider_id) == ("sending", "")
    fields = {"MessageSid": "SM0123456789abcdef", "MessageStatus": "delivered"}
    assert post(clinic.tenant.slug, "status", fields, query=f"message={row.message_id}")[0] == 204
    row = clinic.messages()["o1/sms"]
    assert (row.state, row.provider_id) == ("delivered", "SM0123456789abcdef")
    clinic.tend(minutes=10)
    assert len(provider.sent) == 1 and provider.sought == []


def test_what_was_given_up_and_then_turns_out_delivered_is_delivered(clinic: Clinic, provider: Scripted) -> None:
    from fhir_server.features.notifications.provider import Unknowable

    provider.answers, provider.found = [Unclear("timeout")], Unknowable()
    row = sent(clinic)
    clinic.tend(minutes=2)
    assert state(clinic) == "dead"
    fields = {"MessageSid": "SM0123456789abcdef", "MessageStatus": "delivered"}
    post(clinic.tenant.slug, "status", fields, query=f"message={row.message_id}")
    assert state(clinic) == "delivered" and clinic.communication("o1/sms")["status"] == "completed"
    assert "statusReason" not in clinic.communication("o1/sms")


def test_another_tenant_s_callback_reaches_no_message_of_this_one(clinic: Clinic, provider: Scripted, new_tenant) -> None:  # type: ignore[no-untyped-def]
    row = sent(clinic)
    other = new_tenant()
    fields = {"MessageSid": row.provider_id, "MessageStatus": "delivered"}
    assert post(other.slug, "status", fields, query=f"message={row.message_id}")[0] == 204
    assert state(clinic) == "sent"
    assert post("no-such-tenant", "status", fields)[0] == 404


@pytest.mark.parametrize("fields", [
    {}, {"MessageSid": "x"}, {"MessageSid": "SM0123456789abcdef"}, {"MessageStatus": "delivered"},
    {"MessageSid": "SM0123456789abcdef", "MessageStatus": "teleported"},
    {"MessageSid": "SM" + "a" * 5000, "MessageStatus": "delivered"},
    {"MessageSid": "SM0123456789abcdef", "MessageStatus": "failed", "ErrorCode": "9" * 400},
])  # fmt: skip
@pytest.mark.parametrize("query", ["", "message=", "message=x", "message=" + "9" * 30, "message=%00"])
def test_nonsense_with_a_right_signature_changes_nothing(
    clinic: Clinic, provider: Scripted, fields: dict[str, str], query: str
) -> None:
    sent(clinic)
    assert post(clinic.tenant.slug, "status", fields, query=query)[0] == 204
    assert state(clinic) == "sent"


def test_get_and_large_forms_are_refused(clinic: Clinic) -> None:
    assert post(clinic.tenant.slug, "status", {"Body": "x" * 100_000})[0] == 413
    environ = create_environ(f"/t/{clinic.tenant.slug}/messages/twilio/status", ORIGIN)
    assert run_wsgi_app(app, environ, buffered=True)[1].startswith("405")


def test_our_signature_is_twilio_s() -> None:
    # The example of Twilio's documentation, and its own library.
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    form = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675309", "Digits": "1234", "From": "+14158675309", "To": "+18005551212"}
    lists = {name: [text] for name, text in form.items()}
    assert signature.sign("12345", url, lists) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    library = RequestValidator("12345")
    for spelled in (url, "https://mycompany.com:443/myapp.php?foo=1&bar=2", "https://mycompany.com/ا?x=é"):
        made = library.compute_signature(spelled, form)
        assert signature.verify("12345", spelled, lists, made) == library.validate(spelled, form, made) is True
        assert not signature.verify("12345", spelled + "x", lists, made)
    port = library.compute_signature("https://mycompany.com:443/myapp.php?foo=1&bar=2", form)
    assert signature.verify("12345", url, lists, port)


def test_an_accepted_answer_with_the_name_of_another_message_is_kept_apart(clinic: Clinic, provider: Scripted) -> None:
    provider.answers = [Accepted("SMsamesamesame1"), Accepted("SMsamesamesame2")]
    sent(clinic, "o1")
    sent(clinic, "o2")
    tell(clinic, "SMsamesamesame2", "delivered")
    assert (state(clinic, "o1/sms"), state(clinic, "o2/sms")) == ("sent", "delivered")
