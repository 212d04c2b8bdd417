"""Dashboard and alerts speak of metrics that are there, down to their tags."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from flowreel.jobs.engine.metrics import METRICS

from .manifests import INFRA

EXPORTED = {exported: about for name, about in METRICS.items() for exported in about.exported(name)}
GUIDE = INFRA.parent / "docs/operate.md"
USED = re.compile(r"(ray_flowreel_\w+)(?:\{([^}]*)\})?")


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((INFRA / "metrics/dashboard.json").read_text())
    return found


def alerts() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((INFRA / "metrics/alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (rule["expr"] for rule in alerts())


def unknown(expression: str) -> list[str]:
    """Names that no scrape shows, and tags that a metric does not have."""
    found = []
    for name, selector in USED.findall(expression):
        about = EXPORTED.get(name)
        if about is None:
            found.append(name)
            continue
        tags = set(re.findall(r"(\w+)\s*=", selector))
        found += [f"{name}{{{tag}}}" for tag in tags - {"dataset", about.tag}]
    return found


def test_dashboard_and_alerts_name_exported_metrics() -> None:
    used = list(expressions())
    assert [problem for expression in used for problem in unknown(expression)] == []
    shown = {name for panel in dashboard()["panels"] for t in panel["targets"] for name, _ in USED.findall(t["expr"])}
    missing = [name for name, about in METRICS.items() if not shown & set(about.exported(name))]
    assert missing == [], "metrics that no panel shows"


@pytest.mark.parametrize(
    "expression", ["rate(ray_flowreel_frames[5m])", 'ray_flowreel_workers{phase="ready"}', "ray_flowreel_shard"]
)
def test_a_wrong_name_is_found(expression: str) -> None:
    assert unknown(expression)


def test_panels_have_places_of_their_own() -> None:
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard()["panels"]]
    assert len(places) == len(set(places)) == len({p["id"] for p in dashboard()["panels"]})


def test_every_alert_has_an_entry_in_the_guide() -> None:
    headings = re.findall(r"^### (\w+)$", GUIDE.read_text(), re.MULTILINE)
    assert [name for name in (rule["alert"] for rule in alerts()) if name not in headings] == []


def test_prometheus_finds_the_pods_by_the_manifests_own_names() -> None:
    from .manifests import one, worker_groups

    config = yaml.safe_load((INFRA / "metrics/prometheus.yml").read_text())
    kept = [
        rule["regex"] for job in config["scrape_configs"] for rule in job.get("relabel_configs", ()) if "regex" in rule
    ]
    cluster = one("cluster", "RayCluster")
    templates = [group["template"] for group in worker_groups(cluster)] + [cluster["spec"]["headGroupSpec"]["template"]]
    for template in templates:
        assert template["metadata"]["labels"]["app.kubernetes.io/name"] in kept
        (container,) = template["spec"]["containers"]
        assert {port["name"] for port in container["ports"]} & set(kept)
