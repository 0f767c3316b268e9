from __future__ import annotations

import polars as pl
import pytest

from workbench.data import read_table, register
from workbench.errors import DataUnreadable, NotFound
from workbench.project import Columns, Dataset, Fairness, Project, Serving
from workbench.settings import Layout
from workbench.store import Objects, open_control


class Place:
    def __init__(self, root, **changes):
        self.layout = Layout(root=root)
        self.objects = Objects(self.layout.objects)
        self.control = open_control(self.layout)
        columns = Columns(number=("x",))
        given = {"source": "data.csv", "owner": "ann", "target": "y", "task": "regression", "columns": columns}
        self.dataset = Dataset.model_validate({**given, **changes})

    def register(self, *, actor="ann", **changes):
        project = Project(
            name="demo",
            dataset=self.dataset.model_copy(update=changes),
            fairness=Fairness(metric="mean_absolute_error"),
            serving=Serving(name="demo"),
        )
        return register(project, self.layout, self.control, self.objects, actor=actor, revision="abc")


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKBENCH_DATABASE_URL", raising=False)
    (tmp_path / "data.csv").write_text("x,t,y\n1,a,0.5\n2,,1.5\n3,c,\n")
    place = Place(tmp_path)
    yield place
    place.control.close()


def test_a_dataset_version_keeps_the_exact_rows(place):
    version = place.register()
    assert pl.read_parquet(place.objects.path(version.digest)).equals(read_table(place.layout.root / "data.csv"))
    assert version.rows == 3
    assert dict(version.columns) == {"x": "Int64", "t": "String", "y": "Float64"}
    assert (version.name, version.owner, version.zone) == ("demo", "ann", "local")


def test_registering_again_returns_the_same_record(place):
    first = place.register()
    assert place.register(actor="bob") == first
    assert place.control.all(kind="dataset") == [first]


def test_the_same_rows_in_another_file_are_the_same_version(place):
    first = place.register()
    read_table(place.layout.root / "data.csv").write_parquet(place.layout.root / "data.parquet")
    assert place.register(source="data.parquet").id == first.id


@pytest.mark.parametrize("change", [{"owner": "bob"}, {"zone": "uae"}, {"purpose": "production"}])
def test_another_owner_zone_or_purpose_is_another_version(place, change):
    assert place.register(**change).id != place.register().id


@pytest.mark.parametrize(
    "content",
    [
        "x,t,y\n1,a,0.5\n2,,1.5\n4,c,\n",
        "x,t,y\n1,a,0.5\n3,c,\n2,,1.5\n",
        "x,t,z\n1,a,0.5\n2,,1.5\n3,c,\n",
        "x,t,y\n1,,0.5\n2,a,1.5\n3,c,\n",
        "x,t,y\n1,ac,0.5\n2,,1.5\n3,,\n",
    ],
)
def test_any_other_value_order_or_name_is_another_version(place, content):
    first = place.register()
    (place.layout.root / "data.csv").write_text(content)
    assert place.register().id != first.id


def test_the_id_depends_on_nothing_but_the_data_and_its_owner(place):
    """A change of this number gives everyone's unchanged data a new version: it must not come from an upgrade or a machine."""
    assert place.register().id == "dataset-057313300226e5d2"


def test_an_unreadable_source_records_nothing(place):
    with pytest.raises(DataUnreadable):
        place.register(source="gone.csv")
    assert place.control.all() == []


def test_rows_removed_by_hand_come_back_when_registered_again(place):
    version = place.register()
    place.objects.path(version.digest).unlink()
    with pytest.raises(NotFound):
        place.objects.path(version.digest)
    place.register()
    assert pl.read_parquet(place.objects.path(version.digest)).height == 3


def test_columns_that_no_model_can_use_are_kept_too(place):
    frame = pl.DataFrame({"x": [1, 2], "l": [[1], None], "b": [b"\xff", b""], "f": [True, None], "y": [0.5, 1.5]})
    frame.write_parquet(place.layout.root / "odd.parquet")
    version = place.register(source="odd.parquet")
    assert pl.read_parquet(place.objects.path(version.digest)).equals(frame)
    assert place.register(source="odd.parquet") == version
