"""From served predictions to a report: has the world moved away from the data that the model was trained on?

python flows/watch.py run [--rows 1000] [--since 2026-11-01T00:00:00Z]          workbench watch does the same with progress
"""

from metaflow import FlowSpec, JSONType, Parameter, notebook, step


class WatchFlow(FlowSpec):
    """window → drift → report"""

    rows = Parameter("rows", type=int, default=0, help="judge the latest ROWS predictions; 0 takes all since --since")
    since = Parameter("since", type=str, default="", help="judge predictions from this time on (ISO 8601)")
    parameters = Parameter("parameters", type=JSONType, default="{}", help="values for the notebook's parameters, as JSON")

    @step(start=True)
    def window(self):
        """The served predictions to judge, and the training reference of the model that made them."""
        from workbench.orchestration.steps import open_window

        self.record, self.saved = open_window(rows=self.rows or None, since=self.since or None)
        self.next(self.drift)

    @notebook("05_watch.ipynb", hop="watch")
    @step
    def drift(self):
        """Schema first, then each feature against the reference."""
        self.next(self.report)

    @step(end=True)
    def report(self):
        """The report as a page that people can open."""
        from workbench.orchestration.steps import finish, publish_report

        self.page = str(publish_report(self.record))
        finish()


if __name__ == "__main__":
    WatchFlow()
