"""Where people of a role find what they work with: the table of the top bar, and each role's first page."""

from dataclasses import dataclass

from ui.texts import say


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the top bar: `path` below `/t/{slug}/ui/`."""

    path: str
    title: str
    icon: str
    roles: frozenset[str]


def _place(path: str, title: str, icon: str, *roles: str) -> Place:
    return Place(path, title, icon, frozenset(roles))


# In the order of the bar; the first that a role has is its home.
NAVIGATION = (
    _place("doctor/", "My day", "clipboard2-pulse", "practitioner", "nurse"),
    _place("desk/", "Reception", "door-open", "receptionist", "nurse", "manager", "owner"),
    _place("agenda/", "Agenda", "calendar-week", "receptionist", "nurse", "practitioner", "manager", "owner"),
    _place("manage/", "Clinic", "bar-chart-line", "manager", "owner"),
    _place("portal/", "My health", "heart-pulse", "patient", "proxy"),
    _place("booking/", "Book", "calendar-plus", "patient", "proxy"),
    _place("apps/", "Apps", "grid", "practitioner", "nurse", "manager", "owner", "patient", "proxy"),
    _place("definitions/", "Rules and codes", "book", "operator"),
    _place("console/", "FHIR", "braces", "owner", "manager", "practitioner", "operator"),
)
# Where a role begins that is not at the first of its places.
_HOMES = {"owner": "manage/", "manager": "manage/", "billing": "desk/", "board": "board/", "kiosk": "kiosk/"}


def rooms_of(role: str) -> list[tuple[str, str, str]]:
    """The entries of a role's bar: path, title in the language of the request, icon."""
    return [(each.path, say(each.title), each.icon) for each in NAVIGATION if role in each.roles]


def home_of(role: str) -> str:
    """The path of a role's first page, below `/t/{slug}/ui/`; "" for a role that has none."""
    return _HOMES.get(role) or next((each.path for each in NAVIGATION if role in each.roles), "")
