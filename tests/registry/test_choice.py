"""The choice: the best candidate that may be chosen, with sentences a person can act on."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.records import Estimate
from workbench.registry import Entry, choose


def entry(name: str, value: float | None, verdict: str = "PASS", reach: float | None = 0.01) -> Entry:
    interval = {} if value is None or reach is None else {"low": value - reach, "high": value + reach}
    metrics = {"roc_auc": Estimate(value=value, **interval)}
    return Entry(candidate=f"candidate-{name}", name=name, review=f"review-{name}", verdict=verdict, metrics=metrics)


def chosen(*entries: Entry, higher_is_better: bool = True):
    return choose(entries, metric="roc_auc", higher_is_better=higher_is_better)


values = st.one_of(st.none(), st.just(float("nan")), st.floats(0, 1), st.sampled_from([0.5, 0.7]))
entries = st.lists(
    st.builds(entry, st.text("abc", min_size=1, max_size=3), values, st.sampled_from(["PASS", "FAIL", "INCONCLUSIVE"])),
    max_size=6,
    unique_by=lambda listed: listed.candidate,
)


@given(entries, st.booleans())
def test_nobody_who_may_be_chosen_is_better_than_the_winner(entries, higher):
    choice = choose(entries, metric="roc_auc", higher_is_better=higher)
    value = {row["candidate"]: row["value"] for row in choice.ranking}
    eligible = [listed for listed in entries if listed.verdict != "FAIL" and value[listed.candidate] is not None]
    if not eligible:
        assert (choice.state, choice.winner, choice.review) == ("none", None, None)
        return
    best = (max if higher else min)(value[listed.candidate] for listed in eligible)
    winner = next(listed for listed in entries if listed.candidate == choice.winner)
    assert value[choice.winner] == best
    assert winner.verdict == {"chosen": "PASS", "waiting": "INCONCLUSIVE"}[choice.state]
    assert choice.review == winner.review
    assert winner.name == min(listed.name for listed in eligible if value[listed.candidate] == best)


@given(entries, st.randoms())
def test_the_order_in_which_candidates_arrive_does_not_matter(entries, random):
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert chosen(*entries) == chosen(*shuffled)


@given(entries)
def test_the_ranking_holds_everyone_once_as_plain_json_and_ends_with_the_undefined(entries):
    ranking = chosen(*entries).ranking
    assert sorted(row["candidate"] for row in ranking) == sorted(listed.candidate for listed in entries)
    assert [row["rank"] for row in ranking] == list(range(1, len(entries) + 1))
    defined = [row["value"] for row in ranking if row["value"] is not None]
    assert [row["value"] for row in ranking][: len(defined)] == sorted(defined, reverse=True)
    json.dumps(ranking, allow_nan=False)


@given(entries)
def test_every_candidate_that_cannot_be_chosen_gets_its_own_sentence(entries):
    choice = chosen(*entries)
    refused = [row for row in choice.ranking if row["verdict"] == "FAIL" or row["value"] is None]
    assert sum("cannot be chosen: " in reason for reason in choice.reasons) == len(refused)


def test_a_better_candidate_that_failed_its_review_is_passed_over_and_named():
    choice = chosen(entry("boosted", 0.80, "FAIL"), entry("linear", 0.70))
    assert (choice.state, choice.winner) == ("chosen", "candidate-linear")
    assert any(reason.startswith("boosted") and "its fairness review failed" in reason for reason in choice.reasons)
    assert choice.ranking[0]["name"] == "boosted"


def test_an_inconclusive_winner_waits_and_the_best_that_passed_is_named():
    choice = chosen(entry("boosted", 0.80, "INCONCLUSIVE"), entry("linear", 0.70))
    assert (choice.state, choice.winner) == ("waiting", "candidate-boosted")
    assert any("a person has to accept it" in reason for reason in choice.reasons)
    assert any("review passed is linear" in reason for reason in choice.reasons)


def test_when_all_failed_there_is_no_model_and_each_is_explained():
    choice = chosen(entry("a", 0.8, "FAIL"), entry("b", 0.7, "FAIL"))
    assert (choice.state, choice.winner, len(choice.reasons)) == ("none", None, 3)


def test_without_candidates_the_reason_is_one_sentence():
    assert chosen().reasons == ("There is no candidate to choose from.",)


def test_a_metric_that_nobody_has_chooses_nobody():
    choice = choose([entry("a", 0.8)], metric="rmse", higher_is_better=False)
    assert choice.state == "none"
    assert "its rmse is undefined" in choice.reasons[1]


@pytest.mark.parametrize(("second", "noise"), [(0.795, True), (0.70, False)])
def test_a_lead_within_overlapping_intervals_is_called_noise(second, noise):
    choice = chosen(entry("boosted", 0.80), entry("linear", second))
    assert any("within the noise" in reason for reason in choice.reasons) is noise


def test_equal_values_are_decided_by_name_and_said_to_be_equal():
    choice = chosen(entry("network", 0.8), entry("boosted", 0.8))
    assert choice.winner == "candidate-boosted"
    assert any("boosted, network have the same roc_auc" in reason for reason in choice.reasons)


def test_values_without_intervals_are_compared_without_a_word_about_noise():
    choice = chosen(entry("a", 0.80, reach=None), entry("b", 0.799, reach=None))
    assert choice.winner == "candidate-a"
    assert not any("noise" in reason for reason in choice.reasons)


def test_where_lower_is_better_the_lowest_wins():
    assert chosen(entry("a", 0.8), entry("b", 0.2), higher_is_better=False).winner == "candidate-b"
