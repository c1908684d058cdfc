"""The pods that KubeSpawner would start by a recipe, as JSON: render_pods.py STORE [FILE] -- NAME...

Values are handed to KubeSpawner as Zero to JupyterHub does it. Nothing of Kubernetes runs: what
a hook asks its API for is in "asked".
"""

import asyncio
import json
import os
import sys
from unittest.mock import AsyncMock, Mock

import kubespawner.spawner
import yaml
from kubernetes_asyncio.client import ApiClient
from traitlets.config import Config

kubespawner.spawner.load_config = lambda *_, **__: None
kubespawner.spawner.shared_client = lambda *_, **__: AsyncMock()

# The keys of the chart, and what it sets by them.
SINGLEUSER = {
    "extraEnv": "environment",
    "serviceAccountName": "service_account",
    "uid": "uid",
    "fsGid": "fs_gid",
}
STORAGE = {"extraVolumes": "volumes", "extraVolumeMounts": "volume_mounts"}
CHART = {"uid": 1000, "fsGid": 100, "storage": {}}


def config_of(store, file=None):
    """By a jupyterhub_config.py, or by the values on standard input."""
    c = Config()
    c.KubeSpawner.image = "notebook"
    if file:
        with open(file, encoding="utf-8") as text:
            exec(text.read().replace("**FILE", f"**{store.upper()}"), {"c": c})
        return c
    values = json.load(sys.stdin)
    singleuser = {**CHART, **values["singleuser"]}
    for key, trait in SINGLEUSER.items():
        if key in singleuser:
            c.KubeSpawner[trait] = singleuser[key]
    for key, trait in STORAGE.items():
        c.KubeSpawner[trait] = singleuser["storage"].get(key, [])
    for code in values.get("hub", {}).get("extraConfig", {}).values():
        exec(code, {"c": c})
    return c


def permitted():
    """What the role of the recipes lets the hub ask for, as the client names it."""
    path = os.path.join(os.path.dirname(__file__), "recipes/kubernetes/accounts.yaml")
    with open(path, encoding="utf-8") as text:
        role, binding = yaml.safe_load_all(text)
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [(one["kind"], one["name"]) for one in binding["subjects"]] == [("ServiceAccount", "hub")]
    return [
        f"{verb}_namespaced_{resource}"
        for rule in role["rules"]
        for verb in rule["verbs"]
        for resource in rule["resources"]
    ]


async def pod_of(config, name):
    user = Mock(id=7, escaped_name=name, url=f"/user/{name}/", server=None, settings={})
    orm_spawner = Mock(server=None, oauth_scopes=[])
    user.name, orm_spawner.name = name, ""
    spawner = kubespawner.KubeSpawner(
        _mock=True,
        config=config,
        namespace="hub",
        user=user,
        orm_spawner=orm_spawner,
        hub=Mock(public_host="", url="http://hub/", base_url="/hub/", api_url="http://hub/hub/api"),
        api_token="",
        oauth_client_id="",
    )
    pod = await spawner.get_pod_manifest()
    if spawner.modify_pod_hook:
        pod = await spawner.modify_pod_hook(spawner, pod)
    for method, *_ in spawner.api.method_calls:
        assert method.replace("service_account", "serviceaccounts") in permitted(), method
    calls = spawner.api.create_namespaced_service_account.await_args_list
    tidy = ApiClient().sanitize_for_serialization
    return {"name": name, "pod": tidy(pod), "asked": [tidy(list(call.args)) for call in calls]}


async def main():
    split = sys.argv.index("--")
    config = config_of(sys.argv[1], *sys.argv[2:split])
    print(json.dumps([await pod_of(config, name) for name in sys.argv[split + 1 :]]))


asyncio.run(main())
