"""What the judge says of counts."""

from __future__ import annotations

import msgspec
import pytest

from workbench.project import Rollout
from workbench.serving.rollout import Counts, Evidence, Judgement, Tally, judge

PLAN = Rollout()


def counts(answers: int, **shares: float) -> Counts:
    """Counts of a model that answers half of each sex; `shares` replace those of the sound one."""
    share = {"errors": 0.002, "slow": 0.05, "high": 0.25, "f": 0.4, "m": 0.4} | shares

    def of(name: str, trials: int = answers) -> Tally:
        return Tally(hits=round(share[name] * trials), trials=trials)

    groups = {"sex": {"f": of("f", answers // 2), "m": of("m", answers // 2)}}
    wrong = of("wrong", answers // 4) if "wrong" in share else Tally()
    return Counts(errors=of("errors"), slow=of("slow"), predictions={"above 0.3": of("high")}, groups=groups, wrong=wrong)


BEFORE = counts(5000)


def judged(canary: Counts, *, control: Counts | None = None, before: Counts = BEFORE, **about: float) -> Judgement:
    plan = about.pop("plan", PLAN)
    return judge(plan, Evidence(control=control or counts(90_000), canary=canary, before=before), **about)


def finding(judgement: Judgement, name: str) -> str:
    return next(signal.finding for signal in judgement.signals if signal.name == name)


def test_a_canary_like_the_control_holds_until_the_answers_say_so_and_then_advances():
    early, middle, late = judged(counts(300)), judged(counts(1000)), judged(counts(10_000))
    assert (early.action, early.reason) == ("hold", "The canary has given 300 answers of at least 500.")
    assert middle.action == "hold"
    assert middle.reason.startswith("After 1,000 answers these are not decided: ")
    assert late.action == "advance"
    assert {signal.finding for signal in late.signals} == {"fine", "too few"}


@pytest.mark.parametrize(
    ("fault", "signal"),
    [
        ({"errors": 0.3}, "errors"),
        ({"slow": 0.6}, "latency"),
        ({"high": 0.7}, "predictions: above 0.3"),
        ({"high": 0.0}, "predictions: above 0.3"),
        ({"wrong": 0.9}, "labels"),
    ],
)
def test_a_fault_rolls_back_and_is_named_with_its_numbers(fault, signal):
    control = counts(9000, wrong=0.1)
    found = judged(counts(300, **({"wrong": 0.1} | fault)), control=control)
    assert found.action == "roll back"
    assert [each.name for each in found.signals if each.finding == "worse"] == [signal]
    assert found.reason.lower().startswith(signal)
    assert found.reason.endswith("are tolerated: worse.")


def test_a_group_that_falls_behind_rolls_back_and_is_named():
    found = judged(counts(4000, f=0.15))
    assert found.action == "roll back"
    assert finding(found, "groups: sex=f") == "worse"
    assert finding(found, "groups: sex=m") == "fine"
    assert "behind the others by 25.0 % with the canary and 0.0 % with the control" in found.reason


def test_a_canary_that_closes_a_gap_is_not_rolled_back_for_the_lead_that_the_other_group_loses():
    unfair = counts(90_000, f=0.15)
    found = judged(counts(10_000), control=unfair, before=counts(5000, f=0.15))
    assert found.action == "advance"
    assert finding(found, "groups: sex=m") == "fine"


def test_a_group_of_few_rows_is_shown_but_neither_rolls_back_nor_holds_up():
    canary = counts(10_000)
    small = {"sex": {"f": Tally(hits=0, trials=40), "m": canary.groups["sex"]["m"]}}
    found = judged(with_groups(canary, small))
    assert found.action == "advance"
    assert finding(found, "groups: sex=f") == "too few"
    judged_too = judged(with_groups(canary, small), minimum_group_size=30)
    assert (judged_too.action, finding(judged_too, "groups: sex=f")) == ("hold", "undecided")


def with_groups(one: Counts, groups: dict[str, dict[str, Tally]]) -> Counts:
    return Counts(errors=one.errors, slow=one.slow, predictions=one.predictions, groups=groups, wrong=one.wrong)


def test_only_what_was_there_before_the_step_is_compared():
    strange = counts(10_000)
    fresh = with_groups(strange, {**strange.groups, "age": {"old": Tally(trials=5000), "young": Tally(hits=5000, trials=5000)}})
    assert judged(fresh).action == "advance"
    assert [signal.name for signal in judged(fresh, before=Counts()).signals] == ["errors", "latency", "labels"]


def test_latency_that_nobody_measured_holds_a_step_up_and_labels_that_have_not_arrived_do_not():
    canary = counts(10_000)
    untimed = Counts(errors=canary.errors, predictions=canary.predictions, groups=canary.groups)
    found = judged(untimed)
    assert (found.action, found.reason) == ("hold", "After 10,000 answers these are not decided: latency.")
    assert finding(judged(canary), "labels") == "too few"


@pytest.mark.parametrize(
    ("undecided", "says"),
    [
        ("hold", "promote or roll back by hand"),
        ("advance", "the plan says to advance"),
        ("roll back", "the plan says to roll back"),
    ],
)
def test_a_step_that_lasts_too_long_ends_as_the_plan_says_and_says_so(undecided, says):
    plan = Rollout(undecided=undecided, max_hold_seconds=60)
    assert judged(counts(1000), plan=plan, held_seconds=59).action == "hold"
    found = judged(counts(1000), plan=plan, held_seconds=60)
    assert found.action == undecided
    assert found.reason.endswith(f"The step has lasted 60 seconds: {says}.")
    assert judged(counts(499), plan=plan, held_seconds=60).action == "hold"


def test_a_certain_fault_rolls_back_whatever_the_plan_says_of_time():
    plan = Rollout(undecided="advance", max_hold_seconds=60)
    assert judged(counts(400, errors=0.5), plan=plan, held_seconds=600).action == "roll back"


def test_the_steps_and_signals_share_alpha():
    """With more to look at, each look has to be surer: the same counts give wider intervals."""
    short, long = Rollout(steps=(10, 100)), Rollout(steps=(1, 5, 10, 20, 50, 100))
    widths = [judged(counts(2000), plan=plan).signals[0].difference.high for plan in (short, long)]
    assert widths[0] < widths[1]
    few = judge(PLAN, Evidence(control=counts(90_000), canary=counts(2000), before=Counts(errors=BEFORE.errors)))
    assert few.signals[0].difference.high < judged(counts(2000)).signals[0].difference.high


def test_counts_add_up_and_come_back_from_json_as_they_were():
    one, other = counts(1000, wrong=0.5), counts(500)
    both = one + other
    assert both.errors == Tally(hits=3, trials=1500)
    assert both.groups["sex"]["f"] == Tally(hits=300, trials=750)
    assert both.wrong == one.wrong
    assert msgspec.json.decode(msgspec.json.encode(both), type=Counts) == both
    found = judged(one)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Judgement) == found


@pytest.mark.parametrize("steps", [(), (10, 50), (50, 10, 100), (10, 10, 100), (0, 100), (10, 100, 110)])
def test_steps_that_do_not_rise_to_all_of_the_traffic_are_refused(steps):
    with pytest.raises(ValueError, match="rising percentages that end with 100"):
        Rollout(steps=steps)
