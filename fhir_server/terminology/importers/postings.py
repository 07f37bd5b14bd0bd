"""The postings of a code system, in the order in which they are stored."""

import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from struct import Struct

from fhir_server.storage.concepts import CODE, PREFIX, PROPERTY, WORD, little_endian
from fhir_server.terminology.importers.gathering import Gathered, Places
from fhir_server.terminology.importers.numbering import Numbering
from fhir_server.terminology.stored import property_key

# Beginnings up to this length with more hits than this have a posting of their own, so that asking for them costs one
# read; of the others there are few enough to unite when they are asked for.
_SHORT, _MANY = 3, 20_000
_PAIR = Struct("<ii")
# From this part of all concepts on, marking them one by one and looking for runs is faster than sorting.
_DENSE = 200
_RUNS = re.compile(b"\x01+").finditer
Posting = tuple[str, str, bytes]


def postings(gathered: Gathered, numbered: Numbering) -> Iterator[Posting]:
    """(kind, key, packed ranges), ascending by kind and key."""
    number = numbered.number
    parents = {
        property_key("parent", gathered.codes[place]): children
        for place, children in enumerate(numbered.children)
        if children
    }
    properties: dict[str, Sequence[int]] = {**gathered.properties, **parents}
    tables: tuple[tuple[str, Mapping[str, Sequence[int]]], ...] = (
        (CODE, _mixed(gathered.codes)), (PROPERTY, properties), (WORD, gathered.words),
    )  # fmt: skip
    beginnings: Counter[str] = Counter()
    for kind, held in tables:
        for key in sorted(held):
            packed = _packed((held[key],), number)
            if kind == WORD:
                _count(beginnings, key, len(packed) // _PAIR.size)
            yield kind, key, packed
    for key, some in sorted(_many(gathered, beginnings).items()):
        yield PREFIX, key, _packed(some, number)


def _mixed(codes: Sequence[str]) -> Places:
    """Codes in both small and capital letters, which are not found by writing what is sought in one of them."""
    found: Places = defaultdict(list)
    for place, code in enumerate(codes):
        if not code.isdecimal() and code not in (code.lower(), code.upper()):
            found[code.lower()].append(place)
    return found


def _count(beginnings: Counter[str], key: str, ranges: int) -> None:
    for length in range(1, min(len(key), _SHORT) + 1):
        beginnings[key[:length]] += ranges


def _many(gathered: Gathered, beginnings: Counter[str]) -> dict[str, list[list[int]]]:
    """The beginnings of which there are many ranges, with the places of each word and code that begins so."""
    codes: Places = defaultdict(list)
    for place, code in enumerate(gathered.codes):
        codes[code[:_SHORT].lower()].append(place)
    for key, places in codes.items():
        _count(beginnings, key, len(places))
    found: dict[str, list[list[int]]] = {key: [] for key, count in beginnings.items() if count > _MANY}
    for held in (gathered.words, codes):
        for key, places in held.items():
            for length in range(1, min(len(key), _SHORT) + 1):
                if key[:length] in found:
                    found[key[:length]].append(places)
    return found


def _packed(some: Sequence[Sequence[int]], number: "array[int]") -> bytes:
    """The numbers of places as ranges."""
    if len(some) == 1 and len(some[0]) == 1:
        only = number[some[0][0]]
        return _PAIR.pack(only, only + 1)
    if sum(map(len, some)) < len(number) // _DENSE:
        return _sorted(sorted({number[place] for places in some for place in places}))
    marks = bytearray(len(number) + 1)
    for places in some:
        for place in places:
            marks[number[place]] = 1
    return little_endian(array("i", chain.from_iterable(run.span() for run in _RUNS(marks))))


def _sorted(numbers: list[int]) -> bytes:
    ends = [numbers[0]]
    for before, after in pairwise(numbers):
        if after - before > 1:
            ends += (before + 1, after)
    ends.append(numbers[-1] + 1)
    return little_endian(array("i", ends))
