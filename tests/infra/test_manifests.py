"""Every manifest is what Kubernetes and KubeRay take, and its nodes have room for the workers of every spec."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from flowreel.schemas.parse import parse_spec, parse_yaml
from flowreel.schemas.spec import Spec
from flowreel.schemas.training import TrainSpec

from .manifests import OVERLAYS, Document, built, one, problems, worker_groups

CONFIGS = Path(__file__).parents[2] / "configs"
CLUSTERS = {"cluster": "RayCluster", "render": "RayJob", "train": "RayJob", "refresh": "RayCronJob"}


@pytest.mark.shared
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_manifests_are_valid(overlay: str, shared: Path) -> None:
    assert {doc["kind"]: found for doc in built(overlay) if (found := problems(doc, shared))} == {}


@pytest.mark.shared
@pytest.mark.parametrize(
    ("overlay", "kind", "path", "value", "told"),
    [
        ("render", "RayJob", "spec.entryPoint", "x", "entryPoint"),
        ("render", "RayJob", "spec.backoffLimit", "3", "is not of type"),
        ("train", "RayJob", "spec.rayClusterSpec.workerGroupSpecs.0.maxReplica", 3, "maxReplica"),
        ("refresh", "RayCronJob", "spec.jobTemplate.rayClusterSpec.headGroupSpec.template.spec.tolerance", 1, "tolera"),
        ("cluster", "RayCluster", "spec.autoscalerOptions.upscalingMode", "Fast", "is not one of"),
        ("cluster", "PodDisruptionBudget", "spec.maxUnavailables", 0, "maxUnavailables"),
        ("refresh-cronjob", "CronJob", "spec.concurrency", "Forbid", "concurrency"),
        ("refresh-cronjob", "CronJob", "spec.jobTemplate.spec.template.spec.containers.0.resource", {}, "resource"),
    ],
)
def test_a_wrong_field_is_found(overlay: str, kind: str, path: str, value: Any, told: str, shared: Path) -> None:
    document = copy.deepcopy(one(overlay, kind))
    *parents, last = path.split(".")
    node: Any = document
    for part in parents:
        node = node[int(part) if part.isdecimal() else part]
    node[last] = value
    assert told in "\n".join(problems(document, shared))


@pytest.mark.parametrize("overlay", CLUSTERS)
@pytest.mark.parametrize("config", sorted(CONFIGS.rglob("*.yaml")), ids=lambda place: place.stem)
def test_a_node_has_room_for_the_workers_of_a_spec(overlay: str, config: Path) -> None:
    groups = worker_groups(one(overlay, CLUSTERS[overlay]))
    tree = parse_yaml(config.read_text(), config.name)
    model = TrainSpec if config.parent.name == "train" else Spec
    execution = model.model_validate(tree).execution
    assert not [why for why in (room_problem(group, execution) for group in groups) if why]


def room_problem(group: Document, execution: Any) -> str:
    """Why workers do not fit, or leave a GPU idle for want of CPUs."""
    (container,) = group["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    room = container["resources"]["limits"]
    cpus, gpus = int(room["cpu"]), int(room["nvidia.com/gpu"])
    if cpus < execution.num_cpus or gpus < execution.num_gpus:
        return f"{group['groupName']}: {cpus} CPUs, {gpus} GPUs are less than a worker's"
    wanted = gpus / execution.num_gpus if execution.num_gpus else 1
    return "" if cpus // execution.num_cpus >= wanted else f"{group['groupName']}: {cpus} CPUs leave a GPU idle"


@pytest.mark.parametrize(("gpus", "cpus"), [(2, 2), (1, 8), (0.25, 2)])
def test_workers_that_no_node_has_room_for_are_found(gpus: float, cpus: int) -> None:
    (group,) = worker_groups(one("cluster", "RayCluster"))
    text = yaml.safe_dump({"dataset": {"uri": "a"}, "source": {"uri": "b"}})
    spec = parse_spec(text, [f"execution.num_gpus={gpus}", f"execution.num_cpus={cpus}"])
    assert room_problem(group, spec.execution)


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_spot_nodes_carry_workers_and_drain_and_the_head_is_kept(overlay: str) -> None:
    document = one(overlay, CLUSTERS[overlay])
    (group,) = worker_groups(document)
    spec = group["template"]["spec"]
    (container,) = spec["containers"]
    drain_s = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    assert drain_s < spec["terminationGracePeriodSeconds"]
    assert group["minReplicas"] == 0 < group["maxReplicas"]
    assert spec["nodeSelector"] == {"karpenter.sh/capacity-type": "spot"}
    assert {t["key"] for t in spec["tolerations"]} >= {"nvidia.com/gpu", "karpenter.sh/capacity-type"}
    assert "secret" not in yaml.safe_dump(built(overlay)).lower()


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_ray_asks_for_a_token_and_only_its_own_pods_reach_all_of_it(overlay: str) -> None:
    spec = one(overlay, CLUSTERS[overlay])["spec"]
    spec = spec.get("jobTemplate", spec)
    cluster = spec.get("rayClusterSpec", spec)
    assert cluster["authOptions"] == {"mode": "token"}
    policy = one(overlay, "NetworkPolicy")
    ray = {"matchLabels": {"ray.io/is-ray-node": "yes"}}  # KubeRay's label of every pod of a cluster
    assert policy["metadata"]["namespace"] == "flowreel" and policy["spec"]["podSelector"] == ray
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    free = [rule["from"] for rule in policy["spec"]["ingress"] if "ports" not in rule]
    assert free == [[{"podSelector": ray}]]  # not from other namespaces, nor for all pods of this one
    opened = {port["port"]: rule["from"] for rule in policy["spec"]["ingress"] for port in rule.get("ports", ())}
    assert opened.keys() == {8265, 8080} and all(opened.values())
    anywhere = [source for sources in opened.values() for source in sources if "namespaceSelector" in source]
    assert anywhere and all(source.get("podSelector", {}).get("matchLabels") for source in anywhere)
    ports = {
        p["name"]: p["containerPort"] for p in cluster["headGroupSpec"]["template"]["spec"]["containers"][0]["ports"]
    }
    assert {ports["dashboard"], ports["metrics"]} == opened.keys()


def test_the_nightly_job_has_the_token_of_its_cluster() -> None:
    (container,) = one("refresh-cronjob", "CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    cluster = one("refresh-cronjob", "RayCluster")["metadata"]["name"]
    assert env["RAY_AUTH_MODE"]["value"] == "token" and "value" not in env["RAY_AUTH_TOKEN"]
    assert env["RAY_AUTH_TOKEN"]["valueFrom"]["secretKeyRef"] == {"name": cluster, "key": "auth_token"}
