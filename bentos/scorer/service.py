"""The served scorer: one model, one route, JSON in and JSON out. Packaging copies this file into every bento."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import bentoml
from bentoml.models import BentoModel
from pydantic import BaseModel

from workbench.errors import RequestInvalid, RunFailed
from workbench.serving.scorer.answers import answer, answer_schema
from workbench.serving.scorer.guard import Guard, answer_of
from workbench.serving.scorer.manifest import MANIFEST, read_manifest
from workbench.serving.scorer.model import check_example, load
from workbench.serving.scorer.predictions import PredictionLog, Served, folder_of
from workbench.serving.scorer.requests import RequestReader
from workbench.serving.scorer.signature import SIGNATURE, require_signature

HERE = Path(__file__).parent
SCORER = json.loads((HERE / "scorer.json").read_text(encoding="utf-8"))
MODEL = read_manifest(HERE / MANIFEST, digest=SCORER["digest"])
READER = RequestReader(MODEL)
PREDICTIONS = folder_of(SCORER["service"])
ROUTE = "/predict"
DROPPED = bentoml.metrics.Counter("workbench_predictions_dropped_total", "Rows that the prediction log had no room for.")


class Body(BaseModel, extra="allow"):
    """A request body. BentoML takes any JSON object; the reader, which knows the model's columns, checks and explains."""

    rows: Any = None

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return READER.schema()


class Answer(BaseModel, extra="allow"):
    """An answer, or a refusal in the shape of every workbench error."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        return answer_schema(MODEL)


@bentoml.service(
    name=SCORER["service"],
    workers=int(os.environ.get("WORKBENCH_SCORER_WORKERS", "1")),
    logging={"access": {"enabled": False}},  # the prediction log says more, and costs a tenth
    tracing={"excluded_urls": "predict"},  # BentoML records three spans per request even when it samples none
    metrics={"enabled": True},
)
class Scorer:
    """Answers rows of the model's columns with predictions, and logs every answer."""

    stored = BentoModel(SCORER["model_tag"])

    def __init__(self) -> None:
        require_signature(Path(self.stored.path), HERE / SIGNATURE)
        self.model = load(Path(self.stored.path), MODEL)
        self.log = PredictionLog(PREDICTIONS, model=SCORER["model_tag"], digest=MODEL.digest, on_drop=DROPPED.inc)

    @bentoml.api(route=ROUTE)
    async def predict(self, body: Body, /, context: bentoml.Context) -> Answer:
        """Predicts every row of `rows`. Unseen categories are handled as at training and named under `warnings`.

        A request that does not fit is refused with 400 (not JSON), 405, 413 (too large), 415 (not application/json) or 422
        (not the model's columns); the body says `error`, `message`, `problems` and `hint`.
        """
        request_id = context.request.headers["x-request-id"]
        try:
            request = READER.read(dict(body))
            answers = self.model.answer(request.rows)
        except RequestInvalid as error:
            context.response.status_code = error.status
            return Answer.model_construct(**answer_of(error, request_id))
        self.log.add(
            Served(
                request_id=request_id,
                rows=request.rows,
                predictions=answers.predictions,
                probabilities=answers.probabilities,
            )
        )
        return Answer.model_construct(**answer(MODEL, answers, request_id=request_id, warnings=request.warnings))

    async def __is_ready__(self) -> bool:
        """Ready means that the model answers its example as it did when it was packaged."""
        try:
            check_example(self.model, MODEL)
        except (RunFailed, RequestInvalid):
            return False
        return True

    @bentoml.on_shutdown
    def finish(self) -> None:
        """Writes the predictions that still wait, and seals the log."""
        self.log.close()


Scorer.add_asgi_middleware(Guard, max_body_bytes=MODEL.max_body_bytes, path=ROUTE)
