from __future__ import annotations

from collections.abc import Callable
from typing import Any

Resumed = Callable[[list[str]], tuple[dict[str, Any], dict[str, Any]]]


def same(resumed: Resumed, cells: list[str]) -> None:
    after, clean = resumed(cells)
    assert after["error"] is None, after
    assert after["ran"] == [4, 5, 6]
    assert clean["ran"] == [1, 2, 3, 4, 5, 6]
    assert after["report"] == clean["report"]
    assert after["report"] is not None
    assert after["count"] == clean["count"]


def test_random_generators_go_on_where_they_were(resumed: Resumed) -> None:
    same(
        resumed,
        [
            "import random, numpy as np\nfrom random import randint\nfrom numpy.random import rand",
            "random.seed(1); np.random.seed(2); rng = np.random.default_rng(3); old = np.random.RandomState(4)",
            "drawn = [random.random(), rand(), rng.normal(), old.rand()]",
            "drawn += [randint(1, 10**9), random.random(), rand(), np.random.normal(), rng.normal(), old.rand()]",
            "random.seed(5); np.random.seed(6)",
            "report = [*drawn, randint(1, 10**9), rand()]",  # both still bound to the generator that was seeded
        ],
    )


def test_pandas_frames_keep_values_types_and_shared_memory(resumed: Resumed) -> None:
    same(
        resumed,
        [
            "import numpy as np, pandas as pd\npd.set_option('display.max_rows', 7); rng = np.random.default_rng(0)",
            "df = pd.DataFrame({'n': rng.normal(size=9), 'k': list('abcabcabc'), 'c': pd.Categorical(list('xyxyxyxyx')),"
            " 't': pd.date_range('2020', periods=9, tz='UTC')}); source = np.zeros((2, 3)); over = pd.DataFrame(source)",
            "same = df; column = df['n']; groups = df.groupby('k')",
            "df.loc[0, 'n'] = 99.0; df['m'] = df.n * 2; source[0, 0] = 4",
            "totals = groups.n.sum()",
            "report = [df.to_json(), str(df.dtypes), same is df, column[0], totals.to_dict(), over.iloc[0, 0],"
            " pd.get_option('display.max_rows')]",
        ],
    )


def test_polars_frames_keep_values_and_types(resumed: Resumed) -> None:
    same(
        resumed,
        [
            "import polars as pl\npl.Config.set_tbl_rows(3)",
            "df = pl.DataFrame({'a': range(100), 's': ['x', 'yy', None, 'z'] * 25, 'l': [[1], [2, 3]] * 50,"
            " 'e': pl.Series(['u', 'v'] * 50, dtype=pl.Enum(['u', 'v'])),"
            " 'c': pl.Series(['u', 'v'] * 50, dtype=pl.Categorical)})",
            "plan = df.lazy().filter(pl.col('a') > 3); part = df[10:20]; s = df['s']; empty = pl.DataFrame();"
            "wide = pl.DataFrame({'i': [2**100]}, schema={'i': pl.Int128})",  # a type that Arrow does not have
            "df = df.with_columns(b=pl.col('a') * 2)",
            "out = plan.collect()",
            "report = [df.write_json(), out.write_json(), part.write_json(), s.to_list(), str(out.schema), str(df), wide['i'][0],"
            " empty.shape]",
        ],
    )


def test_a_scikit_learn_model_goes_on_training(resumed: Resumed) -> None:
    same(
        resumed,
        [
            "import numpy as np, sklearn; from sklearn.ensemble import RandomForestClassifier\n"
            "from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import FunctionTransformer, StandardScaler\n"
            "sklearn.set_config(transform_output='pandas'); np.random.seed(0)",
            "X = np.random.rand(200, 4); y = (X[:, 0] + X[:, 1] > 1).astype(int); scale = 2.0",
            "steps = make_pipeline(StandardScaler(), FunctionTransformer(lambda a: a * scale)).fit(X, y)\n"
            "forest = RandomForestClassifier(10, warm_start=True).fit(X, y)",
            "forest.n_estimators = 15; forest.fit(X, y)",  # draws from numpy's generator
            "scale = 3.0; told = steps.transform(X)",
            "report = [forest.predict_proba(X).tolist(), told.to_numpy().tolist(), type(told).__name__]",
        ],
    )


def test_torch_training_goes_on_with_the_same_losses(resumed: Resumed) -> None:
    same(
        resumed,
        [
            "import numpy as np, torch; from torch import nn\n"
            "torch.manual_seed(0); torch.set_default_dtype(torch.float64); order = torch.Generator().manual_seed(5)",
            "class Net(nn.Module):\n"
            "    def __init__(self):\n"
            "        super().__init__(); self.layers = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))\n"
            "    def forward(self, x):\n"
            "        return self.layers(x * scale)\n"
            "scale = 1.0; net = Net(); optimizer = torch.optim.Adam(net.parameters(), lr=0.01)\n"
            "schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)\n"
            "X = torch.rand(32, 4); y = X.sum(1, keepdim=True); rows = X[1:3]\n"
            "array = np.zeros(3); over = torch.from_numpy(array)\n"
            "data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, y), 8, shuffle=True, generator=order)",
            "losses = []\n"
            "def epoch():\n"
            "    for a, b in data:\n"
            "        optimizer.zero_grad(); loss = nn.functional.mse_loss(net(a), b); loss.backward(); optimizer.step()\n"
            "        losses.append(loss.item())\n"
            "    schedule.step(); return loss\n"
            "loss = epoch()",
            "gradient = net.layers[0].weight.grad.tolist(); [epoch() for _ in range(4)]; scale = 1.5; epoch()",
            "X[1] = 3.0; array[0] = 7",
            "report = [losses, gradient, rows.tolist(), over.tolist(), loss.item(), loss.requires_grad, schedule.get_last_lr(),"
            " optimizer.param_groups[0]['params'][0] is net.layers[0].weight]",
        ],
    )
