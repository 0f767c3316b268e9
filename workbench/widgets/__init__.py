"""Boards for exploring in JupyterLab: the data, the leaderboard, and what a threshold means for groups of people.

Every board is an ipywidgets widget with a method `picture()`, the static figure that stands for it where nobody looks. A
`ParametersForm` asks for the parameters of a notebook, and a `RunsPanel` lists the project's runs and continues them.
"""

from workbench.widgets.boards import DataBoard, Leaderboard, ThresholdBoard
from workbench.widgets.parameters import ParametersForm
from workbench.widgets.runs import RunsPanel

__all__ = ["DataBoard", "Leaderboard", "ParametersForm", "RunsPanel", "ThresholdBoard"]
