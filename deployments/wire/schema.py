"""Base of the bodies that responses have."""

from pydantic import BaseModel, ConfigDict


class Schema(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)
