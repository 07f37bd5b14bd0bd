"""What is to be said of a package's members: the same about several of them is said once."""

_MOST_NAMED = 3


class Notes:
    """Collects notes, and tells them as sentences in the order of their first members."""

    def __init__(self) -> None:
        self._said: dict[str, dict[str, None]] = {}

    def add(self, about: str, text: str) -> None:
        """Say something of a member (its file, or its url)."""
        self._said.setdefault(text, {})[about] = None

    def sentences(self) -> list[str]:
        """`file: text`, and for several members `text (40 times: file, file, file, …)`."""
        return [_sentence(list(about), text) for text, about in self._said.items()]


def _sentence(about: list[str], text: str) -> str:
    if len(about) == 1:
        return f"{about[0]}: {text}"
    more = ", …" if len(about) > _MOST_NAMED else ""
    return f"{text} ({len(about)} times: {', '.join(about[:_MOST_NAMED])}{more})"
