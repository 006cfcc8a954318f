"""What the chart and the compose file promise of every container, whatever else they say: promises.py FILE WHICH."""

import json
import re
import sys

import yaml

NAMES = ["validation", "issuance", "rotation", "audit"]


def pods(found):
    """Every pod that a manifest makes, with the name of what makes it."""
    for one in found:
        template = one.get("spec", {}).get("template")
        if template and one["kind"] in ("StatefulSet", "Deployment", "Job"):
            yield one["metadata"]["name"], template


def kubernetes(found, which):
    kinds = {}
    for one in found:
        kinds.setdefault(one["kind"], []).append(one)

    for name, pod in pods(found):
        spec, security = pod["spec"], pod["spec"]["securityContext"]
        assert security["runAsNonRoot"] and security["runAsUser"] != 0, f"{name} may be root"
        assert security["seccompProfile"]["type"] == "RuntimeDefault", f"{name} has no seccomp profile"
        writes = which == "sinks-and-stores" and name.endswith("-rotation")
        assert spec["automountServiceAccountToken"] is writes, f"{name} has a token of the cluster, or lacks it"
        for container in spec["containers"] + spec.get("initContainers", []):
            label, own = f"{name}/{container['name']}", container["securityContext"]
            assert own["readOnlyRootFilesystem"] and not own["allowPrivilegeEscalation"], f"{label} may change itself"
            assert own["capabilities"] == {"drop": ["ALL"]}, f"{label} keeps capabilities"
            assert {"cpu", "memory"} <= set(container["resources"]["requests"]), f"{label} requests nothing"
            assert container["resources"]["limits"]["memory"], f"{label} has no limit of memory"
            assert not container["image"].endswith(":latest") and re.search(r":|@", container["image"]), label
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "found":
            continue
        main = spec["containers"][0]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = main[probe]["httpGet"]
            assert asked["path"].startswith("/health") and asked["scheme"] == "HTTPS", f"{name}: {probe}"
        assert main["livenessProbe"]["httpGet"]["path"] == "/health", f"{name} is killed for what a restart cannot mend"

    # Nothing belongs to the release that the default deny does not select, and each component has flows of its own.
    policies = {one["metadata"]["name"]: one["spec"] for one in kinds["NetworkPolicy"]}
    deny = policies["prod-latchkey-default-deny"]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"} and "ingress" not in deny and "egress" not in deny
    for name, pod in pods(found):
        labels = pod["metadata"]["labels"].items()
        assert deny["podSelector"]["matchLabels"].items() <= labels, f"{name} escapes the default deny"
    for policy in policies.values():
        for rule in policy.get("ingress", []):
            assert rule["from"] and rule["ports"], "a rule without peers lets everybody in"
        for rule in policy.get("egress", []):
            assert rule["to"] and rule["ports"], "a rule without peers lets everything out"

    # Whoever has a token may do one thing, in the namespaces that are named, under an account that nobody else has.
    roles = kinds.get("Role", []) + kinds.get("ClusterRole", [])
    if which != "sinks-and-stores":
        assert not roles, "nobody needs a right"
    else:
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create", "patch"]}
        assert [(one["kind"], one["metadata"]["namespace"], one["rules"]) for one in roles] == [("Role", "orders", [rule])]
        (binding,) = kinds["RoleBinding"]
        assert binding["metadata"]["namespace"] == "orders" and binding["roleRef"]["name"] == roles[0]["metadata"]["name"]
        (subject,) = binding["subjects"]
        accounts = {name: pod["spec"]["serviceAccountName"] for name, pod in pods(found)}
        assert [name for name, account in accounts.items() if account == subject["name"]] == ["prod-latchkey-rotation"]
        audit = next(pod["spec"] for name, pod in pods(found) if name.endswith("-audit"))
        mounted = {one["mountPath"]: one["name"] for one in audit["containers"][0]["volumeMounts"]}
        volumes = {one["name"]: one for one in audit["volumes"]}
        secret = volumes[mounted["/run/secrets/elasticsearch"]]["secret"]
        assert secret == {"secretName": "latchkey-elasticsearch", "defaultMode": 0o440}
        tiles = {one["metadata"]["name"]: one for one in kinds["Service"]}["prod-latchkey-audit"]["spec"]["ports"]
        assert [port["port"] for port in tiles] == [7740, 7741]

    for certificate in kinds["Certificate"]:
        assert len(certificate["spec"]["uris"]) == 1, certificate["metadata"]["name"]
    for service in kinds["Service"]:
        ports = {port["port"] for port in service["spec"]["ports"]}
        assert not ports & {7719, 7729, 7739, 7749}, "metrics are on no Service"

    if which == "founding":
        assert "StatefulSet" not in kinds and "Deployment" not in kinds, "nothing serves before it is founded"
        assert kinds["PersistentVolumeClaim"][0]["metadata"]["name"] == "data-prod-latchkey-replica-1-0"
        assert kinds["PersistentVolumeClaim"][0]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        return

    sets = {one["metadata"]["name"]: one for one in kinds["StatefulSet"]}
    replicas = {name: one for name, one in sets.items() if "-replica-" in name}
    assert len(replicas) == (1 if which == "north-of-three-regions" else 3), sorted(sets)
    for name, one in replicas.items():
        assert one["spec"]["replicas"] == 1 and one["spec"]["updateStrategy"] == {"type": "OnDelete"}, name
        assert one["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain", name
        spec = one["spec"]["template"]["spec"]
        ready = spec["containers"][0]["readinessProbe"]["httpGet"]["path"]
        assert ready == "/health/latchkey.validate" and spec["terminationGracePeriodSeconds"] >= 30, name
        assert spec["topologySpreadConstraints"] and spec["affinity"]["podAntiAffinity"], name
        settings = next(m for m in kinds["ConfigMap"] if m["metadata"]["name"] == name)["data"]["settings.toml"]
        assert settings.count("[[members]]") == 3, name
    if len(replicas) == 3:
        zones = {one["spec"]["template"]["spec"]["nodeSelector"]["topology.kubernetes.io/zone"] for one in replicas.values()}
        assert len(zones) == 3, zones
    budgets = {one["metadata"]["name"]: one["spec"] for one in kinds["PodDisruptionBudget"]}
    assert budgets["prod-latchkey-replicas"]["maxUnavailable"] == 1
    assert sets["prod-latchkey-audit"]["spec"]["replicas"] == 1, "there is one audit"


def compose(found):
    services = found["services"]
    running = {name: one for name, one in services.items() if not one.get("profiles")}
    kinds = {name: one["command"][0].removeprefix("latchkey-") for name, one in running.items()}
    count = {kind: list(kinds.values()).count(kind) for kind in NAMES}
    assert count == {"validation": 3, "issuance": 2, "rotation": 1, "audit": 1}, count
    for name, one in services.items():
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one["user"] == "65532:65532", name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert "environment" not in one, f"{name}: a secret is a file, and so is all else"
    for name, one in running.items():
        assert one["healthcheck"]["test"][1:3] == ["latchkey", "health"], name
        limits = one["deploy"]["resources"]["limits"]
        assert limits["memory"] and limits["cpus"], name
        assert "between" in one["networks"] and len(one["networks"]) == 2, f"{name} is in one region, and between them"
        assert all(port["host_ip"] == "127.0.0.1" for port in one["ports"]), f"{name} is open to the outside"
    regions = {frozenset(running[f"replica-{n}"]["networks"]) for n in (1, 2, 3)}
    assert len(regions) == 3, "each replica has a region of its own"
    assert found["networks"]["between"]["internal"] is True


def main():
    path, which = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        if which == "compose":
            compose(json.load(file))
        else:
            kubernetes([one for one in yaml.safe_load_all(file) if one], which)


main()
