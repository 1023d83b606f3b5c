"""What Ray's metrics endpoint says."""

from __future__ import annotations

from collections import defaultdict

import httpx
import ray
from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]


class Scrape:
    """Everything that the nodes of this process's Ray instance export at one moment."""

    def __init__(self) -> None:
        self.samples: dict[str, dict[Labels, float]] = defaultdict(dict)
        for node in ray.nodes():
            url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
            text = httpx.get(url, trust_env=False, timeout=20).raise_for_status().text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    self.samples[sample.name][frozenset(sample.labels.items())] = sample.value

    def total(self, name: str, **labels: str) -> float:
        """Over all replicas; 0 where there is none yet."""
        wanted = labels.items()
        return sum(value for has, value in self.samples.get(name, {}).items() if wanted <= dict(has).items())

    def label_values(self, name: str, label: str) -> set[str]:
        return {dict(labels)[label] for labels in self.samples[name]}
