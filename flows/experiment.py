"""From a dataset to a packaged model: which notebook runs, in which order, and what fans out.

python flows/experiment.py run [--parameters '{"learning_rate": 0.05}']        workbench run does the same with progress
"""

from metaflow import Config, FlowSpec, JSONType, Parameter, notebook, step


class ExperimentFlow(FlowSpec):
    """prepare → train (each candidate) → review (each candidate) → choose → package"""

    project = Config("project", default="workbench.toml", parser="workbench.orchestration.steps.project_config")
    parameters = Parameter("parameters", type=JSONType, default="{}", help="values for the notebooks' parameters, as JSON")

    @notebook("01_prepare.ipynb")
    @step(start=True)
    def prepare(self):
        """Rows that meet the data contract, split for training and for an honest test."""
        self.candidates = list(self.project.training.candidates)
        self.next(self.train, foreach="candidates")

    @notebook(from_item=True)
    @step
    def train(self):
        """One candidate model, measured by cross-validation and on the holdout."""
        self.next(self.review)

    @notebook("03_review_fairness.ipynb")
    @step
    def review(self):
        """The three-state fairness verdict on this candidate."""
        self.next(self.choose)

    @notebook("04_choose.ipynb")
    @step
    def choose(self, inputs):
        """The winner, or a well-explained nobody."""
        self.next(self.package)

    @step(end=True)
    def package(self):
        """The winner as a bento, with a proof that it predicts the same."""
        from workbench.orchestration.steps import finish, package

        self.bento = package(self.record)
        finish()


if __name__ == "__main__":
    ExperimentFlow()
