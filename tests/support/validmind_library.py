"""The real storage and refresh code of the ValidMind Python library, without its dependencies.

The library's package is loaded without its __init__, which wants all of them.
"""

import ast
import importlib.util
import sys
import types
import typing
from pathlib import Path

spec = importlib.util.find_spec("validmind")
FOLDER = Path(spec.submodule_search_locations[0])
package = types.ModuleType("validmind")
package.__path__ = [str(FOLDER)]
sys.modules["validmind"] = package

from validmind import credentials_store, oidc_device  # noqa: E402, F401
from validmind.errors import ValidMindAuthError  # noqa: E402

SCOPE = "openid profile email offline_access"


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


def sign_in(issuer: str, client: str) -> dict:
    """Starts from what is stored, or by the device flow, as the library's init() does."""
    return sign_in_functions()["_obtain_oidc_tokens"](issuer, client, SCOPE)


def obtain(issuer: str, client: str) -> dict:
    """Starts from what is stored, and asks nobody."""
    ask = oidc_device.run_device_flow
    oidc_device.run_device_flow = refuse_device_flow
    try:
        return sign_in(issuer, client)
    finally:
        oidc_device.run_device_flow = ask
