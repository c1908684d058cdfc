"""msal for Python, silently from a file cache. Arguments: cache file, client id, home account id."""
import json
import sys

import msal

path, client_id, home_account_id = sys.argv[1:]


HOST = "https://login.microsoftonline.com/33333333-3333-3333-3333-333333333333"


class Answer:
    """What the provider says of its endpoints: msal asks at every start."""

    status_code = 200
    headers = {}
    text = json.dumps({
        "issuer": HOST + "/v2.0",
        "authorization_endpoint": HOST + "/oauth2/v2.0/authorize",
        "token_endpoint": HOST + "/oauth2/v2.0/token",
    })

    def raise_for_status(self):
        pass


class NoHttp:
    """Answers at once: the network, and making msal's own client, would double the time."""

    def get(self, *args, **kwargs):
        return Answer()

    post = get


cache = msal.SerializableTokenCache()
with open(path, encoding="utf-8") as file:
    cache.deserialize(file.read())
app = msal.PublicClientApplication(
    client_id,
    authority=HOST,
    token_cache=cache,
    http_client=NoHttp(),
    instance_discovery=False,
)
account = next(a for a in app.get_accounts() if a["home_account_id"] == home_account_id)
result = app.acquire_token_silent(["api://x/read"], account=account)
assert "access_token" in result
