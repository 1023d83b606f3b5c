"""What deploy/ shows and alerts on, as its files say it in PromQL."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "longtake.json").read_text())
ALERTS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
SCRAPING: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
FUNCTIONS = {"rate", "increase", "sum", "max", "avg", "absent", "histogram_quantile", "vector", "label_values"}
WORDS = {"by", "on", "and", "or", "group_left"}
LABELS = re.compile(r"\{([^{}]*)\}")
MATCHER = re.compile(r'\s*(\w+)(=~|!~|!=|=)("[^"]*")\s*')
GROUPING = re.compile(r"\b(?:by|on|group_left) ?\(([^()]*)\)")
DURATION = re.compile(r"\[(\d+[smhd]|\$__\w+)\]")
NAME = re.compile(r"[a-zA-Z_][a-zA-Z_0-9]*")
NUMBER = re.compile(r"\b\d+(\.\d+)?(e\d+)?\b")
SYMBOLS = re.compile(r"[()\s,]|==|[+*/<>-]")


def panel_expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def alert_expressions() -> Iterator[tuple[str, str]]:
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]


def metrics_of(expression: str) -> set[str]:
    """All metrics of an expression, whatever else is in it taken away."""
    bare = GROUPING.sub("", DURATION.sub("", LABELS.sub("", expression)))
    bare = re.sub(r"label_values\((\w+), \w+\)", r"\1", bare)
    return set(NAME.findall(NUMBER.sub("", bare))) - FUNCTIONS - WORDS


def metrics_in_deploy() -> set[str]:
    """By the names of their series at Ray's endpoint."""
    return {name for _, expr in (*panel_expressions(), *alert_expressions()) for name in metrics_of(expr)}
