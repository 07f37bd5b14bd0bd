"""UCUM: what is said of a text that is no code, values from unit to unit, and units written for people."""

from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fhir_server.core import ucum
from fhir_server.core.ucum.table import atoms, prefixes


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("", "empty"), ("mg dl", "blank cannot stand in a code (character 3)"), ("µg", "outside ASCII"),
        ("mg/", "ends with an operator (character 4)"), ("g..mg", "a unit is expected (character 3)"),
        ("(mg", "not closed (character 1)"), ("mL/(min", "not closed (character 4)"), ("mg)", "closed that was not opened (character 3)"),
        ("mg{x", "brace is not closed (character 3)"), ("mg}", "expected (character 3)"), ("[iU", "no partner"),
        ("{a}rad", "expected (character 4)"), ("12h", "joined by a dot: 12.h"), ("iU", "written with brackets: [iU]"),
        ("MMOL/L", "upper and lower case differ: Mmol or mmol"), ("k[in_i]", "takes no prefix"), ("mmHg", "it is mm[Hg]"),
        ("banana", "'banana' is no unit (character 1)"), ("m100", "power is greater than 99"), ("0.g", "zero"),
        ("mg/[pH]", "scale of its own"), ("Cel2", "scale of its own"), ("g" * 300, "longer than 200"),
        ("(" * 30 + "g" + ")" * 30, "nested deeper"), ("m-", "no unit"), ("2g", "2.g"), ("mg/kg.hr", "it is h"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(code: str, said: str) -> None:
    found = ucum.problem(code)
    assert found is not None and said in found
    assert ucum.unit(code) is None
    with pytest.raises(ucum.Problem):
        ucum.convert(Decimal(1), code, "m")


@pytest.mark.parametrize(
    ("value", "source", "target", "result"),
    [
        ("98.6", "[degF]", "Cel", "37"), ("37", "Cel", "[degF]", "98.6"), ("100", "[degRe]", "Cel", "125"),
        ("310.15", "K", "Cel", "37"), ("1000", "mCel", "Cel", "1"), ("1", "[lb_av]", "kg", "0.45359237"),
        ("6", "[ft_i]", "m", "1.8288"), ("120", "mm[Hg]", "kPa", "15.99864"), ("1", "[in_i]", "[ft_i]", "0.0833333333333333333"),
        ("5", "[iU]/L", "[IU]/L", "5"), ("1", "a", "d", "365.25"), ("1", "mol", "1", "6.02214076E+23"),
        ("1", "KiBy", "bit", "8192"), ("1", "[degF]", "[degF]", "1"), ("1", "ug/dL", "mg/L", "0.01"),
        ("1", "[Ch]", "mm", "0.333333333333333333"), ("50", "%", "1", "0.5"), ("1", "cm[H2O]", "Pa", "98.0665"),
        # Scales of their own: pH 7 is 1e-7 mol/L; a bel is a power of ten, a level of pressure or voltage of its square.
        ("7", "[pH]", "mol/L", "1E-7"), ("1e-7", "mol/l", "[pH]", "7"), ("3", "B", "1", "1000"), ("20", "dB[W]", "W", "100"),
        ("2", "B[V]", "V", "10"), ("0.001", "W", "B[W]", "-3"), ("1", "Np", "B", "0.434294481903251828"),
        ("3", "bit_s", "1", "8"), ("2", "[hp'_C]", "1", "0.0001"), ("3", "[m/s2/Hz^(1/2)]", "m2/s4/Hz", "9"),
        ("100", "%[slope]", "deg", "45"),
    ],
)  # fmt: skip
def test_conversions_by_hand(value: str, source: str, target: str, result: str) -> None:
    assert ucum.convert(Decimal(value), source, target) == Decimal(result)


@pytest.mark.parametrize(
    ("source", "target"),
    [("mg/dL", "mmol/L"), ("[iU]", "g"), ("[iU]", "[arb'U]"), ("m", "s"), ("Cel", "m"), ("[pH]", "g"), ("1", "rad")],
)
def test_different_things_are_not_converted(source: str, target: str) -> None:
    assert not ucum.commensurable(source, target)
    with pytest.raises(ucum.NotCommensurable):
        ucum.convert(Decimal(1), source, target)


@pytest.mark.parametrize(("value", "source", "target"), [("0", "mol/l", "[pH]"), ("-1", "W", "B[W]"), ("1e9", "B", "1"),
                                                         ("1e999", "m", "m")])  # fmt: skip
def test_what_has_no_value_there(value: str, source: str, target: str) -> None:
    with pytest.raises(OverflowError):
        ucum.convert(Decimal(value), source, target)


@pytest.mark.parametrize(
    ("code", "symbols", "words"),
    [
        ("ug/dL", "μg/dL", "(microgram) / (deciliter)"), ("10*9/L", "10⁹/L", "(the number ten for arbitrary powers ^ 9) / (liter)"),
        ("Cel", "°C", "(degree Celsius)"), ("kg.m-2", "kg·m⁻²", "(kilogram) * (meter ^ -2)"), ("/min", "/min", "1 / (minute)"),
        ("mg/(24.h)", "mg/(24·h)", "(milligram) / (24 * (hour))"), ("mL/min/{1.73_m2}", "mL/min/{1.73_m2}", "(milliliter) / (minute) / 1"),
        ("{score}", "{score}", "(unity)"), ("mg{dry}", "mg{dry}", "(milligram)"), ("U/(10.g){feces}", "U/(10·g){feces}", "(Unit) / (10 * (gram))"),
    ],
)  # fmt: skip
def test_written_for_people(code: str, symbols: str, words: str) -> None:
    assert (ucum.printed(code), ucum.named(code)) == (symbols, words)


ordinary = sorted(code for code, atom in atoms().items() if atom.function is None)
units = st.builds(
    lambda prefix, code, power: (prefix if atoms()[code].metric else "") + code + (str(power) if power != 1 else ""),
    st.sampled_from(["", *prefixes()]),
    st.sampled_from(ordinary),
    st.sampled_from([1, 1, 1, 2, 3, -1, -2]),
)
products = st.lists(units, min_size=1, max_size=3).map(".".join)
values = st.decimals(min_value=-(10**6), max_value=10**6, places=3)


@given(values, products, products)
@example(Decimal("0"), "Ym.10*23", "ym")
def test_a_unit_and_its_inverse(value: Decimal, first: str, second: str) -> None:
    """a/b of b is a: whatever units there are, prefixes and powers hold together, exactly."""
    assert ucum.problem(first) is None
    there = f"({first})/({second}).({second})"
    assert ucum.commensurable(there, first)
    assert ucum.convert(value, there, first) == value
    found = ucum.unit(first)
    assert found is not None and found.factor > 0


@given(values, st.sampled_from(["Cel", "[degF]", "[degRe]", "K", "mK"]), st.sampled_from(["Cel", "[degF]", "[degRe]", "kK"]))
def test_temperatures_there_and_back(value: Decimal, first: str, second: str) -> None:
    there = ucum.convert(value, first, second)
    assert abs(ucum.convert(there, second, first) - value) < Decimal("1e-11")


@given(st.text(alphabet="gmLsk/.()[]{}10*-%^'_ aU", max_size=30))
def test_any_text_gets_an_answer(code: str) -> None:
    """Either it is a code, with everything that codes have, or a sentence says why not."""
    problem = ucum.problem(code)
    if problem is None:
        assert ucum.unit(code) is not None
        assert ucum.printed(code) and ucum.named(code)
        assert ucum.convert(Decimal(2), code, code) == 2
    else:
        assert problem.endswith(".")
        assert ucum.unit(code) is None


@pytest.mark.parametrize("kind", ["mol", "bit", "[HPF]", "[LPF]", "[hnsf'U]", "[NTU]", "[FNU]", "[pH]", "B", "Np", "[iU]"])
def test_comparisons_keep_apart_what_nobody_compares(kind: str) -> None:
    """Search and FHIRPath: numbers of different things, and logarithms of amounts, are dimensions of their own."""
    found = ucum.unit(kind)
    assert found is not None and found.canonical == kind.replace("[iU]", "[IU]")
