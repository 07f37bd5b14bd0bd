"""A waiting queue as people fill it in: the HealthcareService with its queue configuration, there and back."""

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from ui.manage import parts
from ui.manage.parts import Part, Problems
from ui.manage.service_form import LANGUAGES, QUEUE, set_text, set_translations, translated
from ui.texts import say

Resource = dict[str, Any]
KINDS = (("normal", "Without an appointment"), ("appointment", "With an appointment"), ("emergency", "Emergency"),
         ("vip", "VIP (paid)"), ("express", "Express (paid)"))  # fmt: skip
DISPLAYS = (("number", "The number only"), ("initials", "Number and initials"),
            ("initials-digits", "Number, initials and two digits"))  # fmt: skip
NUMBERS = (
    Part("prefix", "valueString", "text", "Letters before the number", "One to four letters or digits, such as A.",
         0, 4),
    Part("width", "valuePositiveInt", "number", "Digits of the number", "3 when left empty.", 1, 6),
    Part("kinds", "valueCode", "codes", "Kinds of tickets", "None chosen: the first three.", choices=KINDS),
    Part("display", "valueCode", "code", "What boards show", choices=DISPLAYS),
)  # fmt: skip
ORDER = (
    Part("earlyTolerance", "valueUnsignedInt", "number", "Check-in before the appointment, at the earliest",
         "30 when left empty.", 0, 1440, "min"),
    Part("lateTolerance", "valueUnsignedInt", "number", "Late by so much, the place is kept", "10 when left empty.", 0,
         1440, "min"),
    Part("graceMinutes", "valueUnsignedInt", "number", "Who was called may be absent for", "15 when left empty.", 0,
         240, "min"),
    Part("maxRecalls", "valueUnsignedInt", "number", "Called again at most", "2 when left empty.", 0, 10, "times"),
    Part("returnPlaces", "valueUnsignedInt", "number", "Who comes back late stands behind", "3 when left empty.", 0,
         100, "people"),
    Part("maxReturns", "valueUnsignedInt", "number", "May come back late at most", "2 when left empty.", 0, 10,
         "times"),
    Part("serviceMinutes", "valuePositiveInt", "number", "One visit takes about",
         "Until the day shows better; 15 when left empty.", 1, 480, "min"),
)  # fmt: skip
PAID = (
    Part("paidEvery", "valuePositiveInt", "number", "Of a paid kind at most every so many calls", "3 when left empty.",
         1, 100),
    Part("starvationBound", "valueUnsignedInt", "number", "Nobody is passed more often than", "3 when left empty.", 0,
         100, "times"),
)  # fmt: skip
LIMITS = (
    Part("maxWaiting", "valuePositiveInt", "number", "At most waiting at a time", "", 1, 10_000, "people"),
    Part("maxPerDay", "valuePositiveInt", "number", "Tickets a day at most", "", 1, 100_000),
    Part("closesAt", "valueTime", "time", "Closes at"),
    Part("stopMinutesBeforeClosing", "valueUnsignedInt", "number", "Last ticket before closing", "", 0, 720, "min"),
)  # fmt: skip
WAYS = (
    Part("selfCheckIn", "valueBoolean", "flag", "People check themselves in with their own phones",
         "Only where something else shows that they are there, such as a code on the wall."),
    Part("transferTo", "valueReference", "references", "Tickets can be passed on to", "None chosen: to all queues."),
)  # fmt: skip
# Not a plain flag: what is not said means yes.
REMOTE = Part("remoteTickets", "valueBoolean", "flag", "Tickets can be taken from elsewhere, by phone")
PARTS = (*NUMBERS, *ORDER, *PAID, *LIMITS, *WAYS)
SECTIONS = (("Numbers and boards", NUMBERS), ("Order of calls", ORDER), ("Limits", LIMITS), ("Paid kinds", PAID),
            ("Ways in and on", WAYS))  # fmt: skip


def shown(resource: Mapping[str, Any]) -> dict[str, Any]:
    """What the form says of a queue."""
    extension = parts.extension_of(resource, QUEUE)
    found = parts.shown(extension, PARTS)
    remote = [parts.value_of(each) for each in parts.parts_of(extension, REMOTE.name)]
    found |= {"name": str(resource.get("name", "")), "comment": str(resource.get("comment", "")),
              REMOTE.name: remote != [False]}  # fmt: skip
    return found | {f"name-{code}": translated(resource, code) for code, _ in LANGUAGES}


def typed(form: "MultiDict[str, str]") -> dict[str, Any]:
    """What was posted, in the form of `shown`."""
    found = parts.typed(form, PARTS)
    for name in ("name", "comment", *(f"name-{code}" for code, _ in LANGUAGES)):
        found[name] = " ".join(form.get(name, "").split())
    found[REMOTE.name] = REMOTE.name in form
    return found


def apply(resource: Resource, said: Mapping[str, Any], problems: Problems) -> None:
    """Bring a HealthcareService to what the form says, and leave everything else of it as it is."""
    if not said["name"]:
        problems.add("name", say("Give the queue a name."))
    for name in ("name", *(f"name-{code}" for code, _ in LANGUAGES)):
        if len(said[name]) > 200:
            problems.add(name, say("At most %(most)s characters.", most=200))
    if said["prefix"] and not said["prefix"].isalnum():
        problems.add("prefix", say("One to four letters or digits, such as A."))
    given = parts.values(said, PARTS, problems)
    old = parts.extension_of(resource, QUEUE)
    held = parts.parts_of(old, REMOTE.name)
    if held or not said[REMOTE.name]:
        given[REMOTE.name] = [True] if said[REMOTE.name] else []
    made = parts.written(old, QUEUE, (*PARTS, REMOTE), given)
    if not said[REMOTE.name] and not parts.parts_of(made, REMOTE.name):
        made["extension"].append({"url": REMOTE.name, REMOTE.element: False})
    if not made["extension"]:
        # A configuration that says nothing would make it no queue.
        made["extension"] = [{"url": "prefix", "valueString": "A"}]
    parts.put(resource, made)
    resource["name"] = said["name"]
    set_text(resource, "comment", said["comment"])
    set_translations(resource, said)



def is_queue(resource: Mapping[str, Any]) -> bool:
    """Whether a HealthcareService is a waiting queue."""
    return parts.extension_of(resource, QUEUE) is not None
