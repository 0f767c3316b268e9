"""Boards for exploring in JupyterLab: the data, the leaderboard, and what a threshold means for groups of people.

Every board is an ipywidgets widget with a method `picture()`, the static figure that stands for it where nobody looks.
"""

from workbench.widgets.boards import DataBoard, Leaderboard, ThresholdBoard

__all__ = ["DataBoard", "Leaderboard", "ThresholdBoard"]
