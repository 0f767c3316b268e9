"""The trust check: whether a notebook's stored outputs can be believed, judged from the file and, when asked, from a clean rerun.

Each doubt is a finding of a named rule, at a cell and a line; `RULES` says how much each rule weighs, and the score is what
remains of 100. Nothing here writes to the notebook, and no found secret is ever shown.
"""

from workbench.execution.checking.annotations import annotation_lines
from workbench.execution.checking.report import RULES, Finding, Report, Severity
from workbench.execution.checking.trust import check_notebook

__all__ = ["RULES", "Finding", "Report", "Severity", "annotation_lines", "check_notebook"]
