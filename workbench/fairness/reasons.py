"""Findings and the sentences that explain a verdict to the person who must act on it. Called by `assessment`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.project import Fairness
from workbench.records import Estimate, GroupAssessment, Verdict

__all__ = ["Finding", "NotAssessed", "metric_name", "reasons_for"]

MOST_SENTENCES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One assessed group: what is recorded, on how many rows its rate rests, of which outcome, against which reference."""

    group: GroupAssessment
    base: int
    outcome: str | None
    reference: str | None

    @property
    def name(self) -> str:
        """The group with its attribute, such as "AGE 21–28"."""
        return f"{self.group.attribute} {self.group.group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotAssessed:
    """A group with fewer rows than the policy's minimum: nothing is claimed about it."""

    attribute: str
    group: str
    rows: int


def metric_name(metric: str, outcome: str | None) -> str:
    """The metric in words, such as "selection rate of '1'"."""
    words = metric.replace("_", " ")
    return words if outcome is None else f"{words} of {outcome!r}"


def reasons_for(
    verdict: Verdict,
    findings: Sequence[Finding],
    not_assessed: Sequence[NotAssessed],
    uncompared: Sequence[str],
    policy: Fairness,
) -> tuple[str, ...]:
    """Full sentences, the most important first: failures, open questions, what holds, and what was left out."""
    if not findings and not not_assessed:
        return (
            "No disparity was assessed, because the project declares no sensitive columns: name the columns that describe "
            'people in workbench.toml, under [dataset], such as `sensitive = ["SEX", "AGE"]`.',
        )
    failed = _worst_first(findings, "FAIL")
    alone = set(uncompared)  # one sentence for the whole attribute says it
    open_ = [each for each in _worst_first(findings, "INCONCLUSIVE") if each.reference or each.group.attribute not in alone]
    passed = _worst_first(findings, "PASS")
    return (
        *_bounded([_failure(finding, policy) for finding in failed], "more groups fail"),
        *_bounded([_question(finding, policy) for finding in open_], "more groups stay open"),
        *(_holds(passed, len(findings), verdict, policy) if passed else ()),
        *(_nothing_to_compare(attribute, policy) for attribute in uncompared),
        *_left_out(not_assessed, policy),
        *_method(findings, policy),
    )


def _worst_first(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    chosen = [finding for finding in findings if finding.group.verdict == verdict]
    return sorted(chosen, key=lambda finding: 2.0 if finding.group.ratio.low is None else finding.group.ratio.low)


def _bounded(sentences: list[str], rest: str) -> list[str]:
    if len(sentences) <= MOST_SENTENCES:
        return sentences
    return [*sentences[:MOST_SENTENCES], f"{len(sentences) - MOST_SENTENCES} {rest}: see the table of groups."]


def _failure(finding: Finding, policy: Fairness) -> str:
    return f"{_comparison(finding, policy)}: this disparity is beyond the limit of {policy.limit:g}; mitigate it."


def _question(finding: Finding, policy: Fairness) -> str:
    group = finding.group
    words = metric_name(policy.metric, finding.outcome)
    needed = group.rows_needed
    more = "" if needed is None else f"; about {needed:,} more labelled rows of this group would likely settle it"
    minimum = f"{policy.minimum_group_size:,}"
    if group.rate.value is None:
        return f"{finding.name}: its {words} is undefined, because none of its {group.rows:,} rows counts towards it{more}."
    if finding.base < policy.minimum_group_size:
        return (
            f"{finding.name}: its {words} rests on {finding.base:,} of its {group.rows:,} rows, "
            f"fewer than the minimum of {minimum}{more}."
        )
    if finding.reference is None:
        return f"{finding.name}: its {words} has no other group of at least {minimum} rows to be compared with."
    if group.ratio.value is None:
        return f"{finding.name}: the ratio of its {words} is undefined, because the rate it would be divided by is 0."
    if group.ratio.low is None:
        return f"{_comparison(finding, policy)}: no bounds can be given, because the errors of a group do not vary."
    return f"{_comparison(finding, policy)}: the bounds lie on both sides of the limit of {policy.limit:g}{more}."


def _comparison(finding: Finding, policy: Fairness) -> str:
    group = finding.group
    rate = f"{group.rate.value:.4g}" if policy.metric == "mean_absolute_error" else f"{group.rate.value:.3f}"
    return (
        f"{finding.name}: its {metric_name(policy.metric, finding.outcome)} is {rate} over {finding.base:,} rows, "
        f"a ratio of {_with_bounds(group.ratio)} to {group.attribute} {finding.reference}"
    )


def _with_bounds(ratio: Estimate) -> str:
    bounds = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.3f} to {ratio.high:.3f})"
    return f"{ratio.value:.3f}{bounds}"


def _holds(passed: Sequence[Finding], total: int, verdict: Verdict, policy: Fairness) -> tuple[str]:
    """The groups that pass, and the one nearest to the limit."""
    whole = f"All {total} groups" if verdict == "PASS" else f"{len(passed)} of {total} groups"
    lowest = passed[0]
    nearest = "" if lowest.group.ratio.value == 1 else f"; nearest to it is {_comparison(lowest, policy)}"
    return (f"{whole} reach the limit of {policy.limit:g} with their lower bound{nearest}.",)


def _nothing_to_compare(attribute: str, policy: Fairness) -> str:
    minimum = f"{policy.minimum_group_size:,}"
    return f"{attribute} could not be assessed: it has fewer than two groups whose rates can be compared over {minimum} rows."


def _left_out(not_assessed: Sequence[NotAssessed], policy: Fairness) -> list[str]:
    if not not_assessed:
        return []
    shown = [f"{small.attribute} {small.group} ({small.rows:,})" for small in not_assessed[:MOST_SENTENCES]]
    if len(not_assessed) > MOST_SENTENCES:
        shown.append(f"{len(not_assessed) - MOST_SENTENCES} more")
    return [f"Not assessed, for having fewer than {policy.minimum_group_size:,} rows: {', '.join(shown)}."]


def _method(findings: Sequence[Finding], policy: Fairness) -> list[str]:
    if not any(finding.group.ratio.low is not None for finding in findings):
        return []
    best = "lowest" if policy.metric == "mean_absolute_error" else "highest"
    measured, confidence = metric_name(policy.metric, None), f"{100 * policy.confidence:g} %"
    return [
        f"Each group is compared with the one that has the {best} {measured}, where a ratio of 1 is no disparity; "
        f"the bounds hold together with {confidence} confidence. Another metric may show another disparity."
    ]
