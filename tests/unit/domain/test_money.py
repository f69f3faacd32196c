from hypothesis import given
from hypothesis import strategies as st

from aisle.domain.money import CURRENCIES, minor_digits, shown, to_minor


def test_digits_follow_iso_4217():
    assert [minor_digits(code) for code in ("USD", "CNY", "JPY", "KWD", None)] == [2, 2, 0, 3, 2]


def test_amounts_are_shown_in_whole_units():
    assert shown(129900, "CNY") == "1,299.00 CNY"
    assert shown(1299, "JPY") == "1,299 JPY"
    assert shown(5, None) == "0.05"


@given(st.integers(0, 10**10), st.sampled_from(["USD", "JPY", "KWD"]))
def test_what_is_shown_reads_back_as_the_same_amount(amount, currency):
    assert to_minor(float(shown(amount, currency).split()[0].replace(",", "")), currency) == amount


def test_digits_are_known_of_codes_that_are_in_use() -> None:
    unlike = {code: minor_digits(code) for code in CURRENCIES if minor_digits(code) != 2}
    assert (len(unlike), unlike["CLF"], unlike["XAF"]) == (26, 4, 0)
    assert "XXQ" not in CURRENCIES
