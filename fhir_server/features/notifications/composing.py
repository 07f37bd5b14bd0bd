"""From an occasion to the drafts that tell of it: for each person the channel, the language and the words."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from fhir_server.core.context import Context
from fhir_server.core.errors import Unprocessable
from fhir_server.features.notifications import facts, templates
from fhir_server.features.notifications.draft import Draft
from fhir_server.features.notifications.kinds import Kind, channels, kinds
from fhir_server.features.notifications.options import Options, options
from fhir_server.features.notifications.quiet_hours import allowed_from
from fhir_server.features.notifications.recipients import Recipient, ways
from fhir_server.features.notifications.template_language import Value
from fhir_server.features.notifications.templates import Own, Text, Written


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something to tell. key: names it, without the person; version: versionId of `about`; facts: what must still hold
    when it is sent, and what cannot be read again then; values: for the template, without the person's; order:
    channels, where not the kind's usual ones; before: of a reminder, how long before."""

    kind: str
    key: str
    about: str
    version: str
    facts: Mapping[str, str]
    values: Mapping[str, Value]
    expires: datetime | None
    based_on: str = ""
    order: tuple[str, ...] | None = None
    before: timedelta | None = None


class Writer:
    """Writes drafts with a tenant's settings and templates, which are read once."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self.options: Options = options(ctx.tenant)

    @cached_property
    def own(self) -> Own:
        """The tenant's templates."""
        return templates.own(self._ctx)

    def drafts(self, occasion: Occasion, people: Sequence[Recipient]) -> Iterator[Draft]:
        """For each person one through the best channel, and one in the application."""
        kind = kinds()[occasion.kind]
        for who in people:
            draft = self.draft(occasion, who)
            if draft is not None:
                yield draft
            in_app = "in-app" in self.options.channels and who.wishes.wants(kind.code, "in-app")
            shown = self.through(occasion, who, "in-app", "") if in_app else None
            if shown is not None:
                yield shown

    def draft(self, occasion: Occasion, who: Recipient, tried: Collection[str] = ()) -> Draft | None:
        """Through the best channel that was not tried and reaches the person in time."""
        for channel, address in ways(who, kinds()[occasion.kind], self.options, occasion.order, tried):
            draft = self.through(occasion, who, channel, address)
            if draft is not None:
                return draft
        return None

    def through(self, occasion: Occasion, who: Recipient, channel: str, address: str) -> Draft | None:
        """Through this channel; None when it would be too late, or there is no text."""
        kind, now = kinds()[occasion.kind], self._ctx.now
        start = self._not_before(kind, channel, who)
        if occasion.expires is not None and max(start, now) >= occasion.expires:
            return None
        values = {**self._common(), **occasion.values, "person": facts.given_name(who.person)}
        if who.is_staff:
            # The portal's link is the patients'.
            values.pop("link", None)
        found = self._text(occasion, channel, who.languages, values)
        if found is None:
            return None
        text, written = found
        approved = self.options.approved.get(f"{kind.code}.{text.language}", "") if channel == "whatsapp" else ""
        if channel == "whatsapp" and not approved:
            return None
        return Draft(
            occasion=f"{occasion.key}:{who.name}",
            kind=occasion.kind,
            channel=channel,
            recipient=who.name,
            address=address,
            language=text.language,
            subject=written.subject,
            text=written.body,
            about=occasion.about,
            about_version=occasion.version,
            not_before=start,
            expires_at=occasion.expires,
            based_on=occasion.based_on,
            facts=occasion.facts,
            values=self._as_text(kind, text, values) if approved else {},
            approved=approved,
            link=str(values.get("link", "")),
        )

    def _text(
        self, occasion: Occasion, channel: str, languages: Sequence[str], values: Mapping[str, Value]
    ) -> tuple[Text, Written] | None:
        """The tenant's text, or the default where that would be longer than the channel takes."""
        country = self._country()
        for mine in (self.own, Own()):
            text = templates.chosen(mine, occasion.kind, channel, languages, occasion.before)
            if text is not None:
                try:
                    return text, templates.write(text, values, country)
                except Unprocessable:
                    continue
        return None

    def _not_before(self, kind: Kind, channel: str, who: Recipient) -> datetime:
        if kind.breaks_quiet_hours or not channels()[channel].quiet:
            return self._ctx.now
        return allowed_from(self._ctx.now, who.zone, self.options.quiet)

    def _common(self) -> dict[str, Value]:
        chosen = self.options
        return {
            "clinic": self._ctx.tenant.name,
            "phone": chosen.phone,
            "link": chosen.portal,
            "stop": "1" if chosen.replies else "",
        }

    def _as_text(self, kind: Kind, text: Text, values: Mapping[str, Value]) -> dict[str, str]:
        """Every name of the kind as text, for templates that a provider keeps; dates and times apart."""
        found: dict[str, str] = {}
        for name, form in kind.names:
            filters = ("date", "time") if form == "instant" else ("",)
            for filter_ in filters:
                source = f"{{{{ {name}|{filter_} }}}}" if filter_ else f"{{{{ {name} }}}}"
                only = Text(kind.code, "whatsapp", text.language, "", source)
                found[f"{name}_{filter_}" if filter_ else name] = templates.write(only, values, self._country()).body
        return {name: value for name, value in found.items() if value}

    def _country(self) -> str:
        return str(self._ctx.tenant.settings.get("country") or "").upper()
