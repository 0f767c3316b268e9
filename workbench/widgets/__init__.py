"""Boards for exploring in JupyterLab: the data, the leaderboard, and what a threshold means for groups of people.

Every board is an ipywidgets widget with a method `picture()`, the static figure that stands for it where nobody looks. A
`ParametersForm` asks for the parameters of a notebook.
"""

from workbench.widgets.boards import DataBoard, Leaderboard, ThresholdBoard
from workbench.widgets.parameters import ParametersForm

__all__ = ["DataBoard", "Leaderboard", "ParametersForm", "ThresholdBoard"]
