from __future__ import annotations

import getpass
import os
import subprocess
import sys

import pytest

from workbench.errors import NotFound
from workbench.settings import TELEMETRY_OFF, Layout, actor, environment, find_project, revision, templates


@pytest.fixture
def project(tmp_path):
    (tmp_path / "workbench.toml").touch()
    return Layout(root=tmp_path.resolve())


def test_a_project_is_found_from_any_folder_below_it(project, monkeypatch):
    below = project.notebooks / "deep"
    below.mkdir(parents=True)
    assert find_project(below) == project
    monkeypatch.chdir(below)
    assert find_project() == project


def test_outside_of_a_project_one_is_told_how_to_make_one(tmp_path):
    with pytest.raises(NotFound, match=r"no workbench\.toml in") as caught:
        find_project(tmp_path)
    assert "workbench init" in caught.value.hint


def test_what_the_workbench_writes_lies_under_one_folder(project):
    written = [project.objects, project.runs, project.drafts, project.predictions, project.reports]
    assert {path.parent for path in written} == {project.state}
    assert project.project_file.name == "workbench.toml"
    assert {project.notebooks.parent, project.flows.parent} == {project.root}


def test_a_team_names_its_database_by_the_environment(project, monkeypatch):
    assert project.database_url.startswith("sqlite:///")
    monkeypatch.setenv("WORKBENCH_DATABASE_URL", "postgresql://server/team")
    assert project.database_url == "postgresql://server/team"


def test_records_are_written_under_the_persons_name(monkeypatch):
    monkeypatch.setenv("WORKBENCH_ACTOR", "ann")
    assert actor() == "ann"
    monkeypatch.delenv("WORKBENCH_ACTOR")
    assert actor() == getpass.getuser()


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become a user without a name")
def test_a_container_whose_user_has_no_name_acts_under_its_number():
    code = "import os; os.environ.clear(); os.setuid(54321); from workbench.settings import actor; print(actor())"
    code = f"import workbench.settings; {code}"  # read before the rights to read it are given up
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "uid-54321"


def test_processes_of_a_project_are_silent_towards_others_and_find_this_interpreter_first(project, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ACTOR", "Ann B")
    monkeypatch.setenv("METAFLOW_DEFAULT_METADATA", "service")
    monkeypatch.delenv("METAFLOW_USER")
    monkeypatch.setenv("METAFLOW_HOME", "/a/teams/own")
    variables = environment(project)
    assert variables.items() >= TELEMETRY_OFF.items()
    assert variables["PATH"].split(os.pathsep)[0] == os.path.dirname(sys.executable)
    assert variables["METAFLOW_USER"] == "ann-b"
    assert variables["METAFLOW_DEFAULT_METADATA"] == "service", "a team's own choice is kept"
    assert variables["METAFLOW_DEFAULT_DATASTORE"] == "local"
    assert variables["METAFLOW_DATASTORE_SYSROOT_LOCAL"] == str(project.root)
    assert variables["METAFLOW_HOME"] == "/a/teams/own"
    monkeypatch.delenv("METAFLOW_HOME")
    assert environment(project)["METAFLOW_HOME"].startswith(str(project.state))


def test_metaflow_refuses_root_so_root_is_not_its_name(project, monkeypatch):
    monkeypatch.setenv("WORKBENCH_ACTOR", "root")
    monkeypatch.delenv("METAFLOW_USER")
    variables = environment(project)
    assert variables["METAFLOW_USER"] == "workbench"
    assert variables["WORKBENCH_ACTOR"] == "root", "what a step does is done by whoever started the run"


def test_the_revision_is_the_commit_and_says_when_files_differ_from_it(tmp_path):
    def git(*arguments: str) -> str:
        command = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert revision(tmp_path) == "unversioned"
    git("init")
    assert revision(tmp_path) == "unversioned", "no commit yet"
    (tmp_path / "file").write_text("one")
    git("add", ".")
    git("commit", "-m", "first")
    git("tag", "v1")
    commit = git("rev-parse", "--short=12", "HEAD")
    assert revision(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert revision(tmp_path) == f"{commit}+"


@pytest.mark.parametrize(("name", "file"), [("notebooks", "01_prepare.ipynb"), ("flows", "experiment.py"), ("bentos", "scorer")])
def test_the_templates_are_found(name, file):
    assert (templates(name) / file).exists()
