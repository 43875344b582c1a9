"""Numbers as a reader sees them."""

from tfx_explain.report import text


def test_what_is_no_number_is_a_dash() -> None:
    assert text.count(1234567) == "1,234,567"
    assert text.count(None) == text.count("many") == text.count([1]) == text.UNKNOWN
