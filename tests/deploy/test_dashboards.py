"""deploy/ against what is exported: a panel or an alert over a metric that nobody exports is silent for ever."""

from __future__ import annotations

import json
import re
from itertools import combinations, count

import pytest

from tests.deploy.expressions import (
    ALERTS,
    DASHBOARD,
    DEPLOY,
    DURATION,
    GROUPING,
    LABELS,
    MATCHER,
    NAME,
    NUMBER,
    SCRAPING,
    SYMBOLS,
    alert_expressions,
    metrics_in_deploy,
    metrics_of,
    panel_expressions,
)
from tests.deployments.telemetry.fake_metrics import all_metrics

OWN_LABELS = {"application", "deployment", "replica"}
"""That Serve adds."""


EXPRESSIONS = [pytest.param(expr, id=name) for name, expr in (*panel_expressions(), *alert_expressions())]


def _exported() -> dict[str, tuple[str, ...]]:
    """The series that our own metrics make, and the labels of each."""
    kept = all_metrics()
    series = {}
    for name, kind in kept.kinds.items():
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            le = ("le",) if suffix == "_bucket" else ()
            series[f"ray_{name}{suffix}"] = (*kept.label_names[name], *OWN_LABELS, *le)
    return series


def test_there_is_much_to_see() -> None:
    used = {re.sub("_(bucket|sum|count)$", "", name) for name in metrics_in_deploy()}
    assert {f"ray_{name}" for name in all_metrics().kinds} <= used, "exported, and shown nowhere"
    assert {name.split("_")[1] for name in used} >= {"longtake", "vllm", "serve"}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_of_metrics_and_labels_that_there_are(expression: str) -> None:
    exported = _exported()
    names = metrics_of(expression)
    assert names
    for name in names:
        assert re.fullmatch(r"ray_(longtake|vllm|serve|node|object_store|component)_\w+", name)
        assert not name.startswith("ray_longtake_") or name in exported
    ours = [exported[name] for name in names if name in exported]
    if len(ours) == len(names):
        allowed = {label for labels in ours for label in labels}
        grouped = {label.strip() for group in GROUPING.findall(expression) for label in group.split(",")} - {""}
        matched = {found[1] for labels in LABELS.findall(expression) for found in MATCHER.finditer(labels)}
        assert grouped | matched <= allowed


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_written_as_promql_is(expression: str) -> None:
    """What is left when everything that belongs there is taken away is nothing."""
    assert expression.count("(") == expression.count(")")
    for labels in LABELS.findall(expression):
        assert all(MATCHER.fullmatch(matcher) for matcher in labels.split(",")), labels
    for counter in re.findall(r"ray_(?!node_)\w+_total\b(?:\{[^{}]*\})?", expression):
        assert re.search(re.escape(counter) + r"\[", expression), f"{counter} only ever grows: take its rate"
    for rate in re.findall(r"(?:rate|increase)\((\w+)", expression):
        assert rate.endswith(("_total", "_bucket", "_sum", "_count")), f"{rate} is no counter"
    rest = GROUPING.sub("", DURATION.sub("", LABELS.sub("", expression)))
    assert not SYMBOLS.sub("", NAME.sub("", NUMBER.sub("", rest)))


def test_quantiles_are_of_buckets_by_le() -> None:
    for name, expression in (*panel_expressions(), *alert_expressions()):
        if "histogram_quantile" in expression:
            assert "_bucket" in expression and re.search(r"by \([^()]*\ble\b[^()]*\)", expression), name


# --- The dashboard as Grafana wants it --------------------------------------------------------------------------------


def test_it_is_a_dashboard() -> None:
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= DASHBOARD.keys()
    assert DASHBOARD["schemaVersion"] >= 36
    assert "id" not in DASHBOARD  # Grafana gives it
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in DASHBOARD["panels"]:
        assert panel["title"] and panel["type"] in {"row", "stat", "timeseries"}
        if panel["type"] == "row":
            continue
        assert panel["fieldConfig"]["defaults"]["unit"]
        refs = [target["refId"] for target in panel["targets"]]
        assert refs == [chr(65 + place) for place, _ in zip(count(), refs, strict=False)]
        for thing in (panel, *panel["targets"]):
            assert thing["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "application"}


def test_variables_are_declared() -> None:
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    built_in = {"__rate_interval", "__range", "__all"}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) <= declared | built_in


def test_no_panel_lies_on_another() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart_x = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_y = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_x or apart_y, (one, other)


# --- The alerts as Prometheus wants them ------------------------------------------------------------------------------


def test_alerts_say_what_to_do() -> None:
    names = [rule["alert"] for group in ALERTS["groups"] for rule in group["rules"]]
    assert len(set(names)) == len(names) >= 10
    for group in ALERTS["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert re.fullmatch(r"Longtake[A-Za-z]+", rule["alert"])
            assert re.fullmatch(r"\d+m", rule.get("for", "1m"))
            assert rule["labels"]["severity"] in {"critical", "warning"}
            assert rule["annotations"]["summary"] and rule["annotations"]["description"]
            told = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
            kept = {
                label.strip() for group in re.findall(r"by \(([^()]*)\)", rule["expr"]) for label in group.split(",")
            }
            assert told <= kept


def test_prometheus_finds_the_alerts_and_the_nodes() -> None:
    for name in SCRAPING["rule_files"]:
        assert (DEPLOY / "prometheus" / name).exists()
    (job,) = SCRAPING["scrape_configs"]
    assert job["file_sd_configs"] == [{"files": ["/tmp/ray/prom_metrics_service_discovery.json"]}]
