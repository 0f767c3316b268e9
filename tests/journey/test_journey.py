"""The journey end to end on real data: dataset → prepare → train → review → choose → package → release → watch, and its trace."""

from __future__ import annotations

import filecmp
import json
import subprocess
import sys
from pathlib import Path

from workbench.records import BentoBuild, Candidate, ModelVersion, MonitoringReport, PreparedData
from workbench.settings import templates
from workbench.store import Objects, open_control

from .conftest import CALM, Walked, command


def kinds(walked: Walked) -> list[str]:
    return [record["kind"] for record in walked.run["records"]]


def test_one_command_writes_the_whole_chain_of_records(walked: Walked) -> None:
    assert sorted(kinds(walked)) == sorted(
        ["prepared", "candidate", "candidate", "candidate", "review", "review", "review", "model", "bento"]
    )


def test_every_candidate_has_metrics_with_intervals_from_cross_validation_and_the_holdout(walked: Walked) -> None:
    control = open_control(walked.layout)
    candidates = [record for record in control.all(kind="candidate") if isinstance(record, Candidate)]
    control.close()
    assert {candidate.name for candidate in candidates} == {"02_train_linear", "02_train_boosted", "02_train_network"}
    for candidate in candidates:
        for measured in (candidate.metrics["roc_auc"], candidate.cross_validation["roc_auc"]):
            assert measured.low is not None
            assert measured.value is not None
            assert measured.high is not None
            assert 0.6 < measured.low <= measured.value <= measured.high < 0.9


def test_parameters_reach_the_notebooks_that_declare_them(walked: Walked) -> None:
    control = open_control(walked.layout)
    parameters = {record.name: record.parameters for record in control.all(kind="candidate") if isinstance(record, Candidate)}
    control.close()
    assert parameters["02_train_boosted"]["rounds"] == 30
    assert parameters["02_train_network"]["epochs"] == 3
    assert "rounds" not in parameters["02_train_linear"]


def test_the_winner_is_the_best_by_the_metric_whose_review_did_not_fail(walked: Walked) -> None:
    control = open_control(walked.layout)
    model = control.all(kind="model")[0]
    candidates = {record.id: record for record in control.all(kind="candidate") if isinstance(record, Candidate)}
    control.close()
    assert isinstance(model, ModelVersion)
    assert model.state == "chosen"
    eligible = [row["candidate"] for row in model.ranking if row["verdict"] != "FAIL"]
    assert model.candidate == max(eligible, key=lambda name: candidates[name].metrics["roc_auc"].value or 0.0)


def test_the_bento_holds_onnx_with_a_proof_that_it_predicts_the_same(walked: Walked) -> None:
    control = open_control(walked.layout)
    bento = control.all(kind="bento")[0]
    control.close()
    assert isinstance(bento, BentoBuild)
    assert bento.format == "onnx"
    assert bento.parity["label_flips"] == 0
    assert bento.parity["largest_difference"] <= 1e-5


def test_running_notebooks_leaves_their_sources_untouched(walked: Walked) -> None:
    names = [path.name for path in templates("notebooks").glob("*.ipynb")]
    same, different, missing = filecmp.cmpfiles(templates("notebooks"), walked.layout.notebooks, names, shallow=False)
    assert (different, missing) == ([], [])
    assert len(same) == len(names)


def test_every_notebook_step_has_its_executed_notebook_as_a_card(walked: Walked) -> None:
    code = (
        "import sys; from metaflow import Flow, namespace; from metaflow.cards import get_cards; namespace(None)\n"
        "for step in Flow('ExperimentFlow').latest_run:\n"
        "    for task in step:\n"
        "        if step.id == 'package': continue\n"
        "        page = get_cards(task, type='workbench_notebook')[0].get()\n"
        "        print(step.id, 'Card Render Failed' in page, 'recorded by' in page)\n"
    )
    from workbench.settings import environment

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=walked.layout.root,
        env=environment(walked.layout),
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == 8
    assert all(line.endswith("False True") for line in lines), lines


def test_a_value_saved_in_a_notebook_is_readable_by_its_digest(walked: Walked) -> None:
    control, objects = open_control(walked.layout), Objects(walked.layout.objects)
    prepared = control.all(kind="prepared")[0]
    control.close()
    assert isinstance(prepared, PreparedData)
    assert set(prepared.saved) >= {"training", "holdout", "contract", "people"}
    assert all(objects.path(saved.digest).stat().st_size == saved.size for saved in prepared.saved.values())


def test_a_bad_request_is_refused_with_a_precise_message(walked: Walked) -> None:
    assert 400 <= walked.refused.status_code < 500
    body = walked.refused.json()
    assert set(body) >= {"error", "message", "problems", "hint"}
    assert any("LIMIT_BAL" in problem for problem in body["problems"])


def test_natural_requests_are_calm_and_shifted_ones_drift(walked: Walked) -> None:
    assert walked.calm["drifted"] == []
    assert walked.calm["schema"] == []
    assert walked.calm["window"]["rows"] == CALM
    assert "PAY_1" in walked.drifted["drifted"]
    assert "prediction" in walked.drifted["drifted"]
    page = Path(walked.drifted["page"]).read_text(encoding="utf-8")
    assert "PAY_1" in page


def test_the_report_hangs_on_the_deployment_that_answered(walked: Walked) -> None:
    control = open_control(walked.layout)
    reports = [record for record in control.all(kind="report") if isinstance(record, MonitoringReport)]
    deployment = control.all(kind="deployment")[0]
    control.close()
    assert [report.parent for report in reports] == [deployment.id, deployment.id]


def test_a_served_request_traces_back_to_its_dataset_version(walked: Walked) -> None:
    links = command(walked.layout.root, ["trace", walked.request])
    assert [link["kind"] for link in links] == [
        "dataset", "prepared", "candidate", "review", "model", "bento", "deployment", "prediction",
    ]  # fmt: skip
    assert links[0]["id"] == walked.made["dataset"]
    assert [link["parent"] for link in links[1:]] == [link["id"] for link in links[:-1]]


def test_a_dataset_version_traces_forward_to_the_prediction_log(walked: Walked) -> None:
    links = command(walked.layout.root, ["trace", walked.made["dataset"]])
    log = next(link for link in links if link["kind"] == "predictions")
    assert log["summary"].startswith(f"{2 * CALM:,} predictions")
    assert sum(link["kind"] == "candidate" for link in links) == 3


def test_runs_are_listed_as_succeeded(walked: Walked) -> None:
    listed = command(walked.layout.root, ["runs"])
    assert [run["state"] for run in listed] == ["succeeded"] * 3
    assert [run["flow"] for run in listed] == ["watch", "watch", "experiment"]


def test_a_notebook_runs_under_plain_papermill_on_the_latest_run(walked: Walked, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", "notebooks/02_train_boosted.ipynb", str(tmp_path / "out.ipynb"),
            "-p", "rounds", "5", "--cwd", "notebooks", "--no-progress-bar",
        ],
        cwd=walked.layout.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    executed = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", ())]
    outcome = next(
        output["data"]["application/vnd.workbench.outcome+json"]
        for output in outputs
        if "application/vnd.workbench.outcome+json" in output.get("data", {})
    )
    assert outcome["metrics"]["roc_auc"]["value"] > 0.6


def test_the_explore_notebook_shows_its_boards_on_what_the_run_left(walked: Walked, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "papermill", "notebooks/00_explore.ipynb", str(tmp_path / "out.ipynb"),
            "--cwd", "notebooks", "--no-progress-bar",
        ],
        cwd=walked.layout.root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    executed = json.loads((tmp_path / "out.ipynb").read_text(encoding="utf-8"))
    widgets = [
        output
        for cell in executed["cells"]
        for output in cell.get("outputs", ())
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert len(widgets) == 3


def test_packaging_again_returns_the_same_bento_and_restores_one_that_was_removed(walked: Walked) -> None:
    built = next(record for record in walked.run["records"] if record["kind"] == "bento")
    assert command(walked.layout.root, ["package"])["bento"] == built["id"]
    removed = subprocess.run(
        [sys.executable, "-m", "bentoml", "delete", built["tag"], "--yes"], capture_output=True, text=True, check=False
    )
    assert removed.returncode == 0, removed.stderr
    again = command(walked.layout.root, ["package"])
    assert (again["bento"], again["digest"]) == (built["id"], built["digest"])
    listed = subprocess.run([sys.executable, "-m", "bentoml", "list"], capture_output=True, text=True, check=True).stdout
    assert built["tag"] in listed


def test_every_template_opens_on_what_the_runs_left(walked: Walked, tmp_path: Path) -> None:
    for path in sorted(walked.layout.notebooks.glob("*.ipynb")):
        code = (
            "import json, os, sys\n"
            f"os.chdir({str(walked.layout.notebooks)!r})\n"
            "from workbench import session\n"
            f"cells = json.load(open({path.name!r}))['cells']\n"
            "source = ''.join(''.join(cell['source']) for cell in cells)\n"
            "import re\n"
            "names = re.findall(r'session\\.load\\(\"(\\w+)\"', source)\n"
            "[session.load(name) for name in names]\n"
            "print(len(names))\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 0, f"{path.name}\n{done.stderr}"
        assert int(done.stdout) >= 2
