"""Base class of response bodies."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)
