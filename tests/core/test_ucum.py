"""UCUM: known conversions, what is comparable with what, and what is refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.core.ucum import canonical, unit


@pytest.mark.parametrize(
    ("value", "code", "same_value", "same_code"),
    [
        ("1", "g", "1000", "mg"), ("1", "kg", "1000000", "mg"), ("185", "[lb_av]", "83914588.45", "mg"),
        ("1", "L", "10", "dL"), ("1", "l", "1000", "mL"), ("5.4", "mmol/L", "5400", "umol/L"),
        ("100", "mg/dL", "1", "g/L"), ("1", "ug/mL", "1", "mg/L"), ("120", "mm[Hg]", "15998.64", "Pa"),
        ("1", "[in_i]", "2.54", "cm"), ("6", "[ft_i]", "1.8288", "m"), ("37", "Cel", "310.15", "K"),
        ("98.6", "[degF]", "37", "Cel"), ("4.5", "10*3/uL", "4.5", "10*9/L"), ("4.5", "10^3/uL", "4500", "/uL"),
        ("4.5", "10*6/uL", "4.5", "10*12/L"), ("60", "/min", "1", "/s"), ("60", "{beats}/min", "1", "Hz"),
        ("50", "%", "0.5", "1"), ("50", "%", "0.5", "{ratio}"), ("1", "U/L", "0.001", "U/mL"),
        ("60", "U/L", "1", "ukat/L"), ("5", "m[IU]/L", "5", "u[IU]/mL"), ("5", "[iU]/L", "5", "[IU]/L"),
        ("1", "a", "12", "mo"), ("1", "wk", "7", "d"), ("1", "d", "24", "h"), ("1", "meq/L", "1", "mmol/L"),
        ("90", "mL/min/{1.73_m2}", "90", "mL/min"), ("25", "kg/m2", "25000", "g.m-2"),
        ("1", "kg.m/s2", "1", "N"), ("1", "J/(kg.K)", "1", "J.kg-1.K-1"), ("180", "deg", "3.14159265358979323846", "rad"),
        ("1", "kcal", "4184", "J"), ("1", "[psi]", "6894.757293168361", "Pa"), ("1", "[foz_us]", "29.5735295625", "mL"),
        ("1", "mosm/kg", "1", "mmol/kg"), ("1", "10*-3", "0.1", "%"), ("3", "cm[H2O]", "294.1995", "Pa"),
    ],
)  # fmt: skip
def test_equal_amounts_are_equal_floats(value: str, code: str, same_value: str, same_code: str) -> None:
    one, other = canonical(Decimal(value), code), canonical(Decimal(same_value), same_code)
    assert one is not None and other is not None
    assert one[1] == other[1]
    assert float(one[0]) == float(other[0])


@pytest.mark.parametrize(
    ("code", "dimension"),
    [("mmol/L", "m-3.mol"), ("mg/dL", "g.m-3"), ("Cel", "K"), ("%", "1"), ("[IU]/mL", "[IU].m-3"), ("/min", "s-1"),
     ("{score}", "1"), ("1", "1"), ("cd", "cd"), ("mm", "m"), ("mm[Hg]", "g.m-1.s-2"), ("[pH]", "[pH]"),
     ("/[HPF]", "[HPF]-1"), ("10*3", "1"), ("min", "s"), ("Gy", "m2.s-2")],
)  # fmt: skip
def test_dimension(code: str, dimension: str) -> None:
    found = canonical(Decimal(1), code)
    assert found is not None and found[1] == dimension


@pytest.mark.parametrize(
    "code",
    ["", " ", "mg/", "banana", "k[in_i]", "mm Hg", "mg/dl/{x", "MGG", "kmin", "(mg", "mg)", "mg}", "é", "g..mg", "*", "g" * 200,
     "10*99999999", "((((", "Cel/min", "x{annotated}", "m-", "[", "]", "2g"],
)  # fmt: skip
def test_not_ucum_is_none(code: str) -> None:
    assert canonical(Decimal(1), code) is None


@given(st.text(alphabet="gmLsk/.()[]{}10*-%", max_size=24))
def test_any_text_gives_an_answer(code: str) -> None:
    found = unit(code)
    assert found is None or found.factor.is_finite()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=6))
def test_grams_and_milligrams_agree(value: Decimal) -> None:
    grams, milligrams = canonical(value, "g"), canonical(value * 1000, "mg")
    assert grams is not None and milligrams is not None
    assert float(grams[0]) == float(milligrams[0])
