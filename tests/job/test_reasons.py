"""Names in `reasons`: who may be one, under which code, and on which side of which output."""

from pathlib import Path
from typing import Any

import pytest

from tfx_explain import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.job.reasons import Named, Reasons, settle_reasons

PLAYERS = {"address": ("city", "zip"), "age": ("age",), "income": ("income",), "log_debt": ("log_debt",)}
CODES = {"address": "A1", "age": "B2", "income": "C3", "log_debt": "D4"}


def settled(outputs: tuple[str, ...] = ("score",), classes: Any = None, **reasons: Any) -> Reasons:
    config = ExplainConfig.from_dict(
        {
            "reasons": {"adverse": "low", **reasons},
            "model": {"classes": classes},
            "feature_names": {"age": "Age in years"},
        }
    )
    named = Named.of(PLAYERS, ["unread"], outputs, {"log_debt": ("debt",)})
    found = settle_reasons(config, ("shapley",), named)
    assert found is not None
    return found


def codes(**changed: Any) -> dict[str, Any]:
    return {name: {"code": code, "text": f"about {name}"} for name, code in (CODES | changed).items() if code}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({}, ["address", "age", "income", "log_debt"]),
        ({"deny": ["age"]}, ["address", "income", "log_debt"]),
        ({"deny": ["zip"]}, ["age", "income", "log_debt"]),  # a group with it
        ({"deny": ["debt"]}, ["address", "age", "income"]),  # the raw feature of a column
        ({"deny": ["unread"]}, ["address", "age", "income", "log_debt"]),
        ({"allow": ["income", "address"]}, ["address", "income"]),
        ({"allow": ["income"], "deny": ["zip"]}, ["income"]),
    ],
)
def test_who_may_be_a_reason(lists: dict[str, Any], expected: list[str]) -> None:
    found = settled(**lists)
    assert list(found.names) == expected
    assert [list(PLAYERS)[place] for place in found.players] == expected


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({"deny": ["agee"]}, "`reasons.deny` names `agee`, which is no feature or group; did you mean `age`?"),
        ({"allow": ["zipp"]}, "`reasons.allow` names `zipp`, which is no feature or group; did you mean `zip`?"),
        ({"allow": ["zip"]}, "`zip`, which is no player: it is in `address`; allow that"),
        ({"allow": ["unread"]}, "`unread`, which is no player: the model does not read it"),
        ({"allow": ["address"], "deny": ["city"]}, "`address`, which `deny` hides, as it holds `city`"),
        ({"deny": list(PLAYERS)}, "leaves no player that could be a reason"),
        ({"codes": codes(incme="E5")}, "names `incme`, which is no feature or group; did you mean `income`?"),
        ({"codes": codes(income="")}, "has no code for `income`, which may be a reason; give it one, or deny it"),
        ({"codes": codes(income="B2")}, "gives `age` and `income` the same code `B2`"),
        ({"codes": "absent.yaml"}, "absent.yaml"),
        ({"adverse": {"scor": "low"}}, "names `scor`, which is no explained output; did you mean `score`?"),
    ],
)
def test_names_that_do_not_fit_have_a_sentence(reasons: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        settled(**reasons)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({}, "adverse"),
        ({"adverse": "lower"}, "adverse"),
        ({"adverse": {}}, "names no output"),
        ({"adverse": "low", "allow": []}, "names nothing that could be a reason"),
        ({"adverse": "low", "allow": ["age"], "deny": ["age"]}, "`age` is both allowed and denied"),
        ({"adverse": "low", "k": 0}, "greater than or equal to 1"),
        ({"adverse": "low", "dney": ["age"]}, "did you mean `deny`?"),
        ({"adverse": "low", "codes": {"age": {"code": 7, "text": "x"}}}, "text is needed here, got 7"),
        ({"adverse": "low", "method": "shaply"}, "did you mean `shapley`?"),
        ({"adverse": "low", "method": "occlusion"}, "does not attribute here"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_built(reasons: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        ExplainConfig.from_dict({"reasons": reasons})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_reasons_need_attributions_with_a_sign() -> None:
    with pytest.raises(ConfigError, match="list a method that attributes"):
        ExplainConfig.from_dict({"reasons": {"adverse": "low"}, "methods": ["partial_dependence"]})
    xrai = {"xrai": {"feature": "image", "gradients": "smooth_grad"}}
    with pytest.raises(ConfigError, match="attributions with a sign, which `smooth_grad`"):
        ExplainConfig.from_dict({"reasons": {"adverse": "low"}, "methods": [xrai]})


def test_the_side_is_said_of_each_of_several_outputs() -> None:
    outputs = ("score[0]", "score[1]", "score[2]")
    with pytest.raises(ConfigError, match=r"does not say of which of 3 outputs; name some of score\[0\], score\[1\]"):
        settled(outputs)
    found = settled(outputs, adverse={"score[2]": "high", "score[0]": "low"})
    assert (found.outputs.tolist(), found.signs.tolist()) == ([0, 2], [-1.0, 1.0])
    assert list(found.adverse) == ["score[0]", "score[2]"]
    with pytest.raises(ConfigError, match="explains another output in each row"):
        settled(("score[predicted]",), "predicted")


def test_codes_may_be_in_a_file_and_say_more_than_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "codes.yaml"
    file.write_text("income: {code: '07', text: Income is too low}\nage: {code: B2, text: Age}\n", encoding="utf-8")
    found = settled(codes=str(file), allow=["income"])
    assert (found.codes, found.texts) == (("07",), ("Income is too low",))
    file.write_text("income: {code: 07, text: Income is too low}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"codes\.yaml"):
        settled(codes=str(file), allow=["income"])


def test_without_codes_players_are_called_as_in_the_report() -> None:
    found = settled(deny=["address"])
    assert found.texts == ("Age in years", "income", "log_debt")
    assert found.describe()["codes"] == {}
