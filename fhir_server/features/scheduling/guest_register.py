"""Patient/$register: a visitor says who he is, and gets a code at the address that he gives
(profiles/scheduling/operations/Patient-register.json)."""

import hmac
import secrets

import msgspec

from fhir_server.core.context import Context
from fhir_server.core.errors import Conflict, Forbidden
from fhir_server.features.notifications import code_messages
from fhir_server.features.scheduling.contacts import masked
from fhir_server.features.scheduling.fields import Resource, instant
from fhir_server.features.scheduling.guest_words import Words, words
from fhir_server.operations.call import OperationCall
from fhir_server.security import throttle
from fhir_server.security.codes import CODE_SECONDS
from fhir_server.security.roles import roles
from fhir_server.security.sealing import seal, unseal
from fhir_server.settings import settings
from fhir_server.storage import accounts, guests
from fhir_server.storage.guests import Proof

SEALED_FOR = "guest"
_MAY = "register"


def register(ctx: Context, call: OperationCall) -> Resource:
    """Keep what a guest says and send him a code; Parameters that say where it went and until when it is good.

    The answer, and the work, are the same whether the address or the person is known here. Raises `Invalid`,
    `Throttled`.
    """
    guest = guest_of(ctx)
    said = _said_before(ctx, guest) if call.parameters.get("again") else words(ctx, call.parameters)
    tenant_id = ctx.tenant.id
    throttle.check(ctx.db, tenant_id, "send-code", said.address, accounts.origin_of(ctx.db, tenant_id, guest))
    if said.channel == "sms":
        throttle.check(ctx.db, tenant_id, "send-sms", "")
    code = f"{secrets.randbelow(1_000_000):06d}"
    sealed = seal(ctx.db, tenant_id, msgspec.json.encode(said), SEALED_FOR)
    ctx.db.run([guests.save(tenant_id, guest, sealed, digest(ctx, guest, said, code), CODE_SECONDS)])
    code_messages.send(ctx.db, ctx.tenant, said.place, said.language, code, ctx.now)
    until = ctx.now.timestamp() + CODE_SECONDS
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "sent-to", "valueString": masked(said.place)},
            {"name": "channel", "valueCode": said.channel},
            {"name": "expires", "valueInstant": instant(ctx.now.fromtimestamp(until, ctx.now.tzinfo))},
        ],
    }


def _said_before(ctx: Context, guest: str) -> Words:
    proof = guests.lock(ctx.db, ctx.tenant.id, guest)
    if proof is None or proof.proved:
        raise Conflict("Nothing was said before: say who you are.", expression="http.again", detail="code-over")
    return opened(ctx, proof)


def opened(ctx: Context, proof: Proof) -> Words:
    """What a guest said."""
    return msgspec.json.decode(unseal(ctx.db, ctx.tenant.id, proof.sealed, SEALED_FOR), type=Words)


def guest_of(ctx: Context) -> str:
    """The id of the guest who asks. Raises `Forbidden` for anybody else."""
    user = ctx.principal.user
    if user is None or _MAY not in roles()[user.role].may or not user.id.startswith("guest-"):
        raise Forbidden("This is for visitors without an account. Who has one is known already.")
    return user.id


def digest(ctx: Context, guest: str, said: Words, code: str) -> bytes:
    """What is kept of a code: worth nothing for another guest, address or tenant."""
    message = "\x1f".join(("guest code", str(ctx.tenant.id), guest, said.channel, said.address, code)).encode()
    return hmac.digest(settings.secret_key(), message, "sha256")
