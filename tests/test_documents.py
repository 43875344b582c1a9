"""Configurations and manifests that nobody should have written: one sentence each, nothing lost, nothing unfolded."""

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_explain import ConfigError, ExplainConfig, InputError, ValidationConfig, documents, records
from tfx_explain.printable import MAX_SENTENCE, printable, shown

POLICY = "rules:\n- max_share: {players: [race], value: 0.05}\n"
LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)) + POLICY
MERGES = "a0: &a0 {x: 1}\n" + "".join(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}]}}\n" for i in range(1, 40)) + POLICY

REFUSED = {
    "a second list of rules": (POLICY + "rules: [{min_examples: {value: 9}}]\n", "key 'rules' twice.*line 3"),
    "a second value": (POLICY.replace("value: 0.05", "value: 0.05, value: 1"), "key 'value' twice"),
    "a second key in JSON": ('{"rules": [1], "rules": []}', "key 'rules' twice"),
    "a second key behind an escape": ('{"rules": [1], "r\\u0075les": []}', "key 'rules' twice"),
    "a second merge": ("a: &a {x: 1}\nb: {<<: *a, <<: *a}\n", "key '<<' twice"),
    "aliases that multiply": (LAUGHS, "more than 100,000 values"),
    "merges that multiply": (MERGES, "more than 100,000 values"),
    "a list in itself": ("rules: &r [*r]\n", r"contains itself: `\*r`"),
    "a mapping in itself": ("rules: &r {x: *r}\n", r"contains itself: `\*r`"),
    "an alias of nothing": ("rules: *r\n", "there is no `&r`"),
    "a program": ("rules: !!python/object/apply:os.system [ls]\n", "has the tag"),
    "bytes": (POLICY.replace("race", "!!binary aGk="), "has the tag"),
    "too deep": ("rules: " + "[" * 100_000, "50 levels"),
    "too deep JSON": ('{"rules": ' + "[" * 100_000 + "]" * 100_000 + "}", "50 levels"),
    "too deep blocks": ("- " * 100_000, "50 levels"),
    "too many values": ("rules: [" + "a," * 200_000 + "]", "more than 100,000 values"),
    "too many rules": ("rules: [" + "{}," * 20_000 + "]", "20,000 entries are more"),
    "too long": ("#" * 2_000_001, "2,000,001 characters"),
    "directives": ("%TAG !a! b\n" * 90_000 + "---\n" + POLICY, "directives"),
    "two documents": (POLICY + "---\n" + POLICY, "several documents"),
    "tabs": ("rules:\n\t- a\n", "neither YAML nor JSON.*line 2"),
    "an infinity": (POLICY.replace("0.05", ".inf"), "`rules.0.max_share.value`.*finite number is needed"),
    "no number": (POLICY.replace("0.05", ".nan"), "finite number is needed"),
    "no number in text": (POLICY.replace("0.05", "'nan'"), "number is needed here, without quotes"),
    "no number in JSON": ('{"rules": [{"max_share": {"players": ["a"], "value": NaN}}]}', "NaN, which is no number"),
    "too large in JSON": ('{"confidence": 1e999}', "'1e999'.*too large"),
    "too large": (POLICY.replace("0.05", "1e400"), "finite number is needed"),
    "a whole number of 400 digits": (POLICY.replace("0.05", "9" * 400), "a number of 1,329 bits"),
    "a whole number of 9,000 digits": (POLICY + "seed: " + "9" * 9_000, "9,000 digits"),
    "truth as a share": (POLICY.replace("0.05", "true"), "number is needed here, not true or false"),
    "truth as a value": (POLICY + "slicing_specs: [{feature_values: {sex: true}}]", "not true or false"),
    "a number of eight": (POLICY.replace("race", "0123"), "'0123' without quotes"),
    "a key that is a list": (POLICY + "[a]: 1\n", "list as a key"),
    "a key that is a number": (POLICY + "1: 1\n", "keys are text"),
    "the key self": (POLICY + "self: 1\n", "unknown key `self`"),
    "a long value": (POLICY + "confidence: " + "k" * 1_000_000, r"got 'kkk.*1,000,002 characters"),
    "a long key": ('{"' + "k" * 1_000_000 + '": 1}', "unknown key `kkk.*1,000,000 characters"),
    "a terminal's commands": ('rules: "\\e[2J\\a\\n\\u202e"\n', r"\\x1b\[2J\\x07\\n\\u202e"),
    "NUL": ("rules: \0", "neither YAML nor JSON"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_meant_is_one_sentence(case: str, tmp_path: Path) -> None:
    text, message = REFUSED[case]
    (tmp_path / "policy.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        ValidationConfig.from_file(tmp_path / "policy.yaml")
    said = str(caught.value)
    assert len(said) <= MAX_SENTENCE
    assert not [c for c in said if unicodedata.category(c) in ("Cc", "Cf")]


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    for content in (POLICY.encode("utf-16"), b"rules: \xe9", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(ConfigError, match="not text in UTF-8; save it in that encoding"):
            ValidationConfig.from_file(path)
    for place, message in (
        (tmp_path, "Is a directory"),
        ("/dev/zero", "more than 8,000,000 bytes"),
        ("a\0", "no path"),
    ):
        with pytest.raises(ConfigError, match=message):
            ValidationConfig.from_file(place)


@pytest.mark.parametrize("change", ["\ufeff%s", "# a comment\n---\n%s...\n"])
def test_files_of_other_editors(change: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_bytes((change % POLICY).replace("\n", "\r\n").encode())
    assert ValidationConfig.from_file(path) == ValidationConfig(
        rules=[{"max_share": {"players": ["race"], "value": 0.05}}]
    )


def test_words_stay_words_and_numbers_numbers() -> None:
    text = "[no, yes, on, 12:30, 2020-01-01, 1e-3, 5E2, 1_000, 0x10, -7, .5, ~, true, 'true', <<, '1', é]"
    assert documents.parse_yaml(text) == [
        *("no", "yes", "on", "12:30", "2020-01-01", 0.001, 500.0, 1000, 16, -7, 0.5, None, True, "true", "<<", "1", "é")
    ]
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3}\nc: {<<: [*a, *b], x: 4}\nd: [*a, *a]\n"
    assert documents.parse_yaml(text)["c"] == {"x": 4, "y": 2}
    assert documents.parse_yaml(text)["d"] == [{"x": 1, "y": 2}] * 2


_NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
_DATA = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(_DATA)
@settings(max_examples=25)
def test_json_is_read_alike_as_json_and_as_yaml(data: object) -> None:
    """Also where YAML cannot read it: JSON writes characters beyond the first 65,536 as two escapes."""
    text = json.dumps({"key": data})
    assert documents.parse_json(text) == documents.parse_yaml(text) == {"key": data}


@given(
    st.text() | st.binary() | st.integers() | st.lists(st.text()), st.text(st.characters(categories=["Cc", "Cf", "Lu"]))
)
def test_whatever_is_quoted_stays_on_one_short_line(value: object, message: str) -> None:
    for said in (shown(value), printable(message), str(ConfigError(message))):
        assert not [c for c in said if unicodedata.category(c) in ("Cc", "Zl", "Zp", "Cs")]
    assert len(shown(value)) <= 80


def test_hidden_characters_show_and_emoji_stay() -> None:
    assert printable("ra\u200dce\u202e\u2066 \ufeff\ud800\x9b") == "ra\\u200dce\\u202e\\u2066 \\ufeff\\ud800\\x9b"
    for name in ("👩‍👧", "❤️", "می‌خواهم", "naïve ✓"):
        assert printable(name) == name


def test_manifests_are_read_as_strictly(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    for text, message in (
        ('{"seed": 1, "seed": 2}', "'seed' twice"),
        ('{"seed": NaN}', "no number"),
        ('{"seed": ' + "[" * 100_000 + "]" * 100_000 + "}", "levels deep"),
        ("[1]", "holds a list"),
        ("{", "not valid JSON"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            records.read_json(str(path))
        assert "\n" not in str(caught.value)
    path.write_bytes(b'{"a": "\xff"}')
    with pytest.raises(InputError, match="UTF-8"):
        records.read_json(str(path))


def test_json_of_executors_names_nothing_twice() -> None:
    for text in ('{"seed": 1, "seed": 2}', '{"seed": Infinity}', '{"self": 1}', "[" * 10**6):
        with pytest.raises(ConfigError):
            ExplainConfig.from_json(text)
