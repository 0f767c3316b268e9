"""The engine does what papermill's default engine does; what may differ is listed and explained in docs/conformance.md."""

from __future__ import annotations

import pytest

from tests.conformance.corpus import Corpus, judge_corpus
from tests.conformance.environment import Environment, prepare
from tests.conformance.suites import SUITES, judge_suite
from workbench.errors import ComponentMissing

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

# Ours look for differences, and ask for what no notebook of a data scientist asks: the kernel's class, all loaded modules.
LEAST_EQUAL = {("nbclient", "papermill"): 0.99, ("features", "kernels"): 0.98}


@pytest.fixture(scope="module")
def environment() -> Environment:
    try:
        return prepare()
    except ComponentMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def corpus(environment: Environment) -> Corpus:
    return judge_corpus(environment)


@pytest.mark.parametrize("name", SUITES)
def test_a_public_suite_has_the_same_failures_with_our_kernels_and_engine_as_the_default(
    name: str, environment: Environment
) -> None:
    suite = judge_suite(name, environment)
    assert len(suite.stock) > 100
    assert sorted(suite.unexplained) == []


def test_every_difference_between_executed_notebooks_is_explained(corpus: Corpus) -> None:
    assert [f"{name} {each.place}: {each.what}: {each.stock} / {each.ours}" for name, each in corpus.unexplained] == []


@pytest.mark.parametrize(("groups", "least"), LEAST_EQUAL.items())
def test_nearly_all_cells_that_are_not_meant_to_differ_are_equal(groups: tuple[str, ...], least: float, corpus: Corpus) -> None:
    compared = [each.ours for each in corpus.notebooks if each.name.partition("/")[0] in groups]
    cells = sum(each.cells - corpus.intended(each.name) for each in compared)
    assert sum(each.equal for each in compared) >= least * cells


def test_python_notebooks_run_in_warm_kernels(corpus: Corpus) -> None:
    cold = [each.name for each in corpus.notebooks if each.kernel == "standard" and not each.name.startswith("kernels/")]
    # the first asks for R, the other sets how many threads numpy uses, before it imports it
    assert set(cold) <= {"papermill/notimplemented_translator", "features/environment_set_before_an_import"}


def test_kernels_of_other_languages_run_and_the_fallback_is_said_aloud(corpus: Corpus) -> None:
    others = [each for each in corpus.notebooks if each.name.startswith("kernels/")]
    assert len(others) == 3
    for each in others:
        assert each.ours.equal == each.ours.cells, each.name
        assert each.kernel == "standard"
        assert "the kernel is not ipykernel" in each.said[0]
