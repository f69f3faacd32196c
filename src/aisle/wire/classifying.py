"""Labels of texts: what is asked of a fine-tuned model, and what it tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from aisle.wire.asks import MOST_BATCH_BYTES
from aisle.wire.values import Body, Told

MOST_TEXTS = 200
"""Texts of one request."""
Text = Annotated[str, Field(max_length=20_000)]
"""A text; a model reads its first hundred words or so, as it was taught to."""


class ClassifyAsk(Body):
    """Texts whose labels are wanted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"texts": ["fits well and looks great", "broke on the second day"]},
                {"texts": ["Copper kettle, 1.7 l"], "second": ["kettle"]},
            ]
        }
    )

    most_bytes: ClassVar[int] = MOST_BATCH_BYTES
    texts: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MOST_TEXTS)]
    """What is to be labelled."""
    second: Annotated[tuple[Text | None, ...], Field(max_length=MOST_TEXTS)] | None = None
    """What each text is looked at together with, such as a query, where the model was taught so: one each, or null."""


class TaskLabels(Told):
    """One thing that a model tells of a text."""

    name: str
    """Such as `opinion`."""
    kind: str
    """`binary` and `classes`: exactly one label is right; `tags`: any number of them."""
    labels: tuple[str, ...]
    """All there are; of `binary` first what means no, then what means yes."""


class TextClassifier(Told):
    """A fine-tuned model of the shop."""

    name: str
    version: str
    """The one that answers."""
    created_ms: int
    """When it was taught."""
    tasks: tuple[TaskLabels, ...]
    metrics: Mapping[str, float]
    """What was measured on texts that it had not seen."""


class TextClassifiers(Told):
    """The fine-tuned models that can be asked."""

    classifiers: tuple[TextClassifier, ...]


class TextLabels(Told):
    """What a model says of one text."""

    labels: Mapping[str, Mapping[str, float]]
    """By task the probability of each label; they sum to 1, but for tags."""


class Classified(Told):
    """What one version of a model says of each text, in their order."""

    name: str
    version: str
    answers: tuple[TextLabels, ...]
