from __future__ import annotations

import dataclasses
import re

import pytest

from workbench.records import HOPS, KINDS, Acceptance, Candidate, FairnessReview, ModelVersion, body_of, new_id, now, outcome_of


def test_a_record_cannot_be_changed():
    record = Acceptance(id="acceptance-1", parent="model-1", actor="ann", zone="local", revision="r1", reason="seen")
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.reason = "other"  # type: ignore[misc]
    assert not hasattr(record, "__dict__")


def test_ids_of_a_kind_sort_by_time_and_are_never_the_same():
    ids = [new_id("candidate") for _ in range(2000)]
    clocks = [each[:-12] for each in ids]
    assert re.fullmatch(r"candidate-[0-9a-f]{23}", ids[0])
    assert clocks == sorted(clocks)
    assert len(set(ids)) == 2000


def test_times_sort_as_text_and_are_in_utc():
    times = [now() for _ in range(100)]
    assert times == sorted(times)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", times[0])


def test_every_kind_is_known_by_its_own_word():
    assert {name: kind.kind for name, kind in KINDS.items()} == {name: name for name in KINDS}
    assert len({kind.__name__ for kind in KINDS.values()}) == len(KINDS)
    assert set(HOPS.values()) <= set(KINDS.values())


def test_a_notebook_records_what_only_it_knows():
    assert outcome_of(Candidate) == ("metrics", "cross_validation")
    assert outcome_of(FairnessReview) == ("metric", "verdict", "reasons", "groups")
    assert outcome_of(ModelVersion) == ("state", "candidate", "metric", "reasons", "ranking")


@pytest.mark.parametrize("kind", KINDS.values())
def test_the_body_of_a_record_is_what_other_records_do_not_carry(kind):
    common = {"id", "parent", "run", "actor", "at", "zone", "revision"}
    assert set(body_of(kind)) | common == {field.name for field in dataclasses.fields(kind)}
    assert not set(body_of(kind)) & common
