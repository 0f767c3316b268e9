"""Watching a served model: a *window* of logged predictions is compared with the *reference* it was trained on.

The *schema* comes first, since a column that vanished drifts nowhere. Then `compare` decides for each column whether it
drifted: the difference must be beyond chance (two-sample tests, corrected for the number of columns) and large enough to
matter (a floor under the population stability index). Pictures and Evidently's report show that one decision.
"""

from workbench.monitoring.drift import DriftReport, FeatureDrift, compare
from workbench.monitoring.pictures import drift_picture, feature_picture
from workbench.monitoring.report import Rendered, render
from workbench.monitoring.schema import schema_problems
from workbench.monitoring.windows import PREDICTION, Window, find_request, latest_window, read_predictions

__all__ = [
    "PREDICTION",
    "DriftReport",
    "FeatureDrift",
    "Rendered",
    "Window",
    "compare",
    "drift_picture",
    "feature_picture",
    "find_request",
    "latest_window",
    "read_predictions",
    "render",
    "schema_problems",
]
