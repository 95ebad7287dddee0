"""What the next conversation is likely to be told."""

from __future__ import annotations

from claude_proxy.backends.claude_cli.policy import Demand
from claude_proxy.backends.claude_cli.prediction import Asked, Prediction, Preparation


def told(key: str) -> Preparation:
    """Give something to be told."""
    return Preparation(key, f"system {key}", ())


def test_what_comes_again_is_the_guess() -> None:
    """A client tends to come back with the same system prompt and tools."""
    prediction = Prediction()
    prediction.note("a", told("p"), 1.0)
    assert prediction.demand(0.0) == Demand(("a",), {})
    assert prediction.guess("a") is None
    prediction.note("a", told("p"), 2.0)
    assert prediction.demand(0.0) == Demand(("a",), {"a": "p"})
    assert prediction.guess("a") == told("p")


def test_what_comes_once_is_no_guess_and_spoils_none() -> None:
    """A system prompt with the time in it never comes again."""
    prediction = Prediction()
    for key in ("p", "p", "12:00", "12:01"):
        prediction.note("a", told(key), 1.0)
    assert prediction.demand(0.0).preparations == {"a": "p"}


def test_models_asked_for_lately_come_first() -> None:
    """The latest first, and none from long ago."""
    prediction = Prediction()
    for number, model in enumerate("abca"):
        prediction.note(model, None, float(number))
    assert prediction.demand(-1.0).models == ("a", "c", "b")
    assert prediction.demand(1.0).models == ("a", "c")


def test_only_so_many_prompts_are_remembered() -> None:
    """A client that never repeats itself costs no memory."""
    asked = Asked()
    for number in range(1000):
        asked.note(told(str(number)), 0.0)
    assert asked.guess is None
    assert len(asked._seen) == 16


def test_only_so_many_models_are_remembered() -> None:
    """Nor does one that makes up names; those asked for last are known."""
    prediction = Prediction()
    for number in range(1000):
        prediction.note("often", told("p"), float(number))
        prediction.note(f"made up {number}", told("p"), float(number))
    assert len(prediction._asked) == 32
    assert prediction.demand(998.0) == Demand(("made up 999", "often"), {"often": "p"})


def test_what_turned_out_to_be_no_model_is_forgotten() -> None:
    """No spare is started for it; another one's guess stays."""
    prediction = Prediction()
    for model in ("real", "real", "made up", "made up"):
        prediction.note(model, told("p"), 1.0)
    prediction.forget("made up")
    prediction.forget("never heard of")
    assert prediction.demand(0.0) == Demand(("real",), {"real": "p"})
    assert prediction.guess("made up") is None


def test_the_latest_settings_are_what_a_blank_child_is_set_to() -> None:
    """Other clients' too, since they are replaced as a whole; what tells nothing changes nothing."""
    prediction = Prediction()
    assert prediction.settings("a") == {}
    prediction.note("a", Preparation("p", "", (), {"effortLevel": "low"}), 1.0)
    prediction.note("a", Preparation("q", "", (), {"effortLevel": "high"}), 2.0)
    prediction.note("a", None, 3.0)
    assert prediction.settings("a") == {"effortLevel": "high"}
