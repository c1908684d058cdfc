"""A client with the cache of a file, by Microsoft's library for Python: it looks the account up.

The library asks for the provider's endpoints at its start. The answer is here, and no request is made.
"""

import json
import sys
from types import SimpleNamespace

import msal

ANSWER = {
    name: f"https://login.example.com/{name}"
    for name in ("issuer", "authorization_endpoint", "token_endpoint")
} | {"metadata": []}


class Http:
    def get(self, url, **_):
        return SimpleNamespace(status_code=200, text=json.dumps(ANSWER), headers={})


key, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    entry = json.load(file)["credentials"][key]
app = msal.PublicClientApplication(
    entry["client_id"], token_cache=msal.SerializableTokenCache(), http_client=Http()
)
app.get_accounts()
{"Authorization": f"Bearer {entry['access_token']}"}
