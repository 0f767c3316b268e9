from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.execution.snapshots import Snapshots, baseline, origin

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Run = Callable[..., dict[str, Any]]

LINK = origin(parameters={}, data={}, environment="here")


def carried(run_cells: Run, definition: str, report: str) -> Any:
    """What the cell `report` says in a new process that restored what the cell `definition` left behind."""
    taken = run_cells([definition])
    assert (taken["error"], taken["refused"]) == (None, {})
    after, clean = run_cells([definition, report], resume=True), run_cells([definition, report], folder="clean")
    assert (after["error"], after["ran"]) == (None, [2])
    assert after["report"] == clean["report"]
    return after["report"]


def test_what_a_notebook_defines_sees_later_changes_of_its_names(run_cells: Run) -> None:
    definition = """
import abc, functools
offset = 1
def plain(x): return x + offset
add = lambda x: x + offset
class Base(abc.ABC):
    @abc.abstractmethod
    def go(self): ...
class Sub(Base):
    calls = 0
    def go(self): Sub.calls += 1; return __class__.__name__, offset
    @property
    def prop(self): return offset
    @staticmethod
    def static(): return offset
def counter():
    n = 0
    def count():
        nonlocal n
        n += 1
        return n + offset
    return count
count = counter(); count(); sub = Sub(); bound = sub.go; part = functools.partial(plain, 1)
@functools.lru_cache(maxsize=7)
def fib(n): return n * offset if n < 2 else fib(n - 1) + fib(n - 2)
@functools.singledispatch
def show(x): return offset
@show.register
def _(x: int): return -offset
"""
    report = """
offset = 10
report = [plain(1), add(1), sub.go(), bound(), Sub.calls, sub.prop, Sub.static(), count(), part(), fib(10), show(1), show('a'),
          isinstance(sub, Base), plain.__globals__ is globals(), fib.cache_parameters()['maxsize']]
"""
    assert carried(run_cells, definition, report)[:3] == [11, 11, ["Sub", 10]]


def test_types_of_a_notebook_are_the_types_of_its_values(run_cells: Run) -> None:
    definition = """
import collections, dataclasses, enum, typing, pydantic
class Color(enum.Enum):
    RED = 1
class Flag(enum.IntFlag):
    A = 1; B = 2
@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list)
class Row(typing.NamedTuple):
    a: int = 1
Pair = collections.namedtuple('Pair', 'a b'); UserId = typing.NewType('UserId', int)
least = 0
class Model(pydantic.BaseModel):
    a: int = 1
    color: Color = Color.RED
    @pydantic.field_validator('a')
    @classmethod
    def _bounded(cls, value):
        if value < least: raise ValueError('too small')
        return value
values = [Color.RED, Flag.A | Flag.B, Point(1), Row(), Pair(1, 2), UserId(3), Model()]
"""
    report = """
least = 5
try: Model(a=3); refused = False
except pydantic.ValidationError: refused = True
report = [values[0] is Color.RED, values[1] == Flag(3), values[2] == Point(1), isinstance(values[3], Row),
          values[4] == Pair(1, 2),
          UserId(4), values[6] == Model.model_construct(a=1, color=Color.RED), values[6].color is Color.RED, refused]
"""
    assert carried(run_cells, definition, report) == [True, True, True, True, True, 4, True, True, True]


def test_names_for_one_object_stay_one_object_and_views_stay_views(run_cells: Run) -> None:
    definition = """
import numpy as np
a = np.arange(10.0); alias = a; every = a[::2]; reverse = a[::-1]; raw = a.view('u1')
cells = np.array([None, 'x', 3], dtype=object); tail = cells[1:]
fortran = np.asfortranarray(np.arange(12.0).reshape(3, 4)); corner = fortran[1:, ::-1]
table = np.zeros(3, dtype=[('i', 'i4'), ('f', 'f8')])
field = table['f']; fixed = a[:3]; fixed.flags.writeable = False; empty = a[:0]; number = np.array(3.0)
loop = []; loop.append(loop)
"""
    report = """
a[0] = 9; tail[0] = 'changed'; corner[0, 0] = -5; field[1] = 2.5
report = [alias is a, every[0], reverse[-1], cells[1], fortran[1, 3], table['f'][1], raw[:8].view('f8')[0], fixed[0],
          fixed.flags.writeable, empty.shape, float(number), loop[0] is loop]
"""
    assert carried(run_cells, definition, report)[:4] == [True, 9, 9, "changed"]


def test_objects_that_a_kernel_has_one_of_are_the_new_kernels_own(run_cells: Run) -> None:
    definition = """
import logging, os, sys, xml.etree.ElementTree
from matplotlib import rcParams
out, env, modules, names, ip = sys.stdout, os.environ, sys.modules, globals(), get_ipython()
me, log = sys.modules['__main__'], logging.getLogger('a')
"""
    report = """
import matplotlib
report = [out is sys.stdout, env is os.environ, modules is sys.modules, names is globals(), ip is get_ipython(),
          vars(me) is globals(), log is logging.getLogger('a'), rcParams is matplotlib.rcParams, xml.etree.ElementTree.__name__,
          type(__builtins__).__name__]
"""
    assert carried(run_cells, definition, report) == [True] * 8 + ["xml.etree.ElementTree", "module"]


def test_the_process_around_the_names_is_set_up_again(run_cells: Run) -> None:
    definition = """
import os, sys, warnings, numpy as np, matplotlib.pyplot as plt
os.environ['NEW'] = '1'; os.environ.pop('HOME', None); os.makedirs('sub', exist_ok=True); os.chdir('sub')
sys.path.insert(0, '/nowhere'); sys.path.append('/elsewhere'); sys.setrecursionlimit(2345)
warnings.filterwarnings('ignore', message='zzz', category=UserWarning); np.seterr(divide='raise')
plt.rcParams['figure.dpi'] = 77; fig, ax = plt.subplots(); ax.plot([1, 2])
with open('x.txt', 'w') as file: file.write('a')
%load_ext autoreload
del exit
"""
    report = """
report = [os.environ['NEW'], 'HOME' in os.environ, os.path.basename(os.getcwd()), sys.path[0], sys.path[-1],
          sys.getrecursionlimit(), [entry[0] for entry in warnings.filters if entry[1] and entry[1].pattern == 'zzz'],
          np.geterr()['divide'], plt.rcParams['figure.dpi'], plt.get_backend(), plt.gcf() is fig, len(ax.lines),
          file.closed, file.name, file.mode,
          'autoreload' in get_ipython().extension_manager.loaded, 'exit' in globals()]
"""
    assert carried(run_cells, definition, report)[:4] == ["1", False, "sub", "/nowhere"]


def test_the_history_of_cells_is_there(run_cells: Run) -> None:
    definition = "def f():\n    return 1\n40 + 2"
    report = "import inspect\nreport = [In[1], Out[1], _, _1, _i, In is _ih, inspect.getsource(f), len(In)]"
    assert carried(run_cells, definition, report)[1:4] == [42, 42, 42]


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.dates(max_value=date.max),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.builds(bytearray, st.binary(max_size=9))
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=plain)
def test_nested_values_come_back_equal_and_as_one_object(value: Any, shell: InteractiveShell, tmp_path: Path) -> None:
    snapshots, before = Snapshots(tmp_path / "snapshots", bytes(32)), baseline(shell)
    box = [value]
    shell.user_ns.update(box=box, again=(box,))
    assert snapshots.take(LINK, shell, before).refused == ()
    del shell.user_ns["box"], shell.user_ns["again"]
    assert set(snapshots.restore(LINK, shell).names) == {"box", "again"}
    assert shell.user_ns["box"] == [value]
    assert shell.user_ns["again"][0] is shell.user_ns["box"]
    del shell.user_ns["box"], shell.user_ns["again"]


@pytest.mark.parametrize("written", [True, False])
def test_restored_arrays_are_the_processs_own(shell: InteractiveShell, tmp_path: Path, written: bool) -> None:
    import numpy as np

    snapshots, before = Snapshots(tmp_path / "snapshots", bytes(32)), baseline(shell)
    shell.user_ns["a"] = np.arange(1000.0)
    snapshots.take(LINK, shell, before)
    snapshots.restore(LINK, shell)
    if written:
        shell.user_ns["a"][0] = -1  # a copy of one page; the file stays as it was sealed
    snapshots.restore(LINK, shell)
    assert shell.user_ns["a"][0] == 0
