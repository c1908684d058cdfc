"""Uses the real storage and refresh code of the ValidMind Python library.

    python_child.py put COUNT              writes to a key of its own, and says how many were lost
    python_child.py refresh ISSUER CLIENT  starts from what is stored, and says the token's hash

The library's package is loaded without its __init__, which wants all of its dependencies. The file
is the one in HOME.
"""

import ast
import hashlib
import importlib.util
import json
import random
import sys
import time
import types
import typing
from pathlib import Path

LONGEST_PAUSE_SECONDS = 0.008

spec = importlib.util.find_spec("validmind")
FOLDER = Path(spec.submodule_search_locations[0])
package = types.ModuleType("validmind")
package.__path__ = [str(FOLDER)]
sys.modules["validmind"] = package

from validmind import credentials_store, oidc_device  # noqa: E402
from validmind.errors import ValidMindAuthError  # noqa: E402


def put(count: str) -> None:
    """A write is lost when another program has overwritten it by the time of the next one."""
    place = ("https://login.example.com", "python")
    lost = 0
    for n in range(int(count)):
        entry = {
            "access_token": f"fixture-access-{n}-{'x' * 1500}",
            "refresh_token": f"fixture-refresh-{n}",
            "expires_at": "2099-01-01T00:00:00+00:00",
            "n": n,
        }
        stored = credentials_store.get_cached_entry(*place) or {}
        if n > 0 and stored.get("n") != n - 1:
            lost += 1
        credentials_store.upsert_cached_entry(*place, entry)
        time.sleep(random.random() * LONGEST_PAUSE_SECONDS)
    print(json.dumps({"written": int(count), "lost": lost}))


def sign_in_functions() -> dict:
    """The library's own functions, out of a module that cannot be loaded alone."""
    names = ("_refresh_oidc_from_cache", "_obtain_oidc_tokens")
    module = ast.parse((FOLDER / "api_client.py").read_text(encoding="utf-8"))
    module.body = [
        node for node in module.body if isinstance(node, ast.FunctionDef) and node.name in names
    ]
    scope = {**vars(typing), "ValidMindAuthError": ValidMindAuthError, "__package__": "validmind"}
    exec(compile(module, "api_client.py", "exec"), scope)
    return scope


def refuse_device_flow(*_args, **_options):
    raise ValidMindAuthError("login_required")


def refresh(issuer: str, client: str) -> None:
    oidc_device.run_device_flow = refuse_device_flow
    obtain = sign_in_functions()["_obtain_oidc_tokens"]
    try:
        entry = obtain(issuer, client, "openid profile email offline_access")
        print(json.dumps({"token": hashlib.sha256(entry["access_token"].encode()).hexdigest()}))
    except ValidMindAuthError as error:
        print(json.dumps({"codes": [str(error)[:60]]}))


{"put": put, "refresh": refresh}[sys.argv[1]](*sys.argv[2:])
