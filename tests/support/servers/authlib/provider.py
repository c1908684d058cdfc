"""One provider: its addresses, the deviations that a test asks for, and what a test may do to it."""

from flask import Flask, Response, json, jsonify

from grants import ENDPOINTS, register
from store import Settings, Store

PATHS = {
    "authorization_endpoint": "/authorize",
    "token_endpoint": "/oauth/token",
    "revocation_endpoint": "/oauth/revoke",
    "introspection_endpoint": "/oauth/introspect",
    "device_authorization_endpoint": "/oauth/device",
    "jwks_uri": "/jwks.json",
}


def make_app(store: Store, issuer: str) -> Flask:
    app = Flask("provider")
    app.config["OAUTH2_REFRESH_TOKEN_GENERATOR"] = True
    server = register(app, store, issuer, issuer + PATHS["token_endpoint"])

    @app.get("/.well-known/openid-configuration")
    def discovery():
        return jsonify({
            "issuer": issuer,
            **{name: issuer + path for name, path in PATHS.items()},
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                "none",
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "code_challenge_methods_supported": ["S256"],
        })

    @app.get(PATHS["jwks_uri"])
    def keys():
        return jsonify(store.public_keys())

    @app.get(PATHS["authorization_endpoint"])
    def authorize():
        # The one person is signed in, and consents or denies.
        grant = server.get_consent_grant(end_user=store.person)
        person = None if store.person_denies else store.person
        return server.create_authorization_response(grant_user=person, grant=grant)

    @app.post(PATHS["token_endpoint"])
    def token():
        # One after the other, as a database's transactions would have it.
        with store.lock:
            return deviating(server.create_token_response(), store.settings)

    for name, path in ENDPOINTS.items():
        app.add_url_rule(
            PATHS[path],
            name,
            lambda name=name: deviating(server.create_endpoint_response(name), store.settings),
            methods=["POST"],
        )
    return app


def deviating(response: Response, settings: Settings) -> Response:
    """An answer with the deviations that a test asked for: each is a slip that is easy in Python."""
    body = response.get_json(silent=True)
    if not isinstance(body, dict):
        return response
    if settings.has("numeric_strings"):  # taken from a configuration file as they were
        body = {k: str(v) if type(v) is int else v for k, v in body.items()}
    if settings.has("ok_errors"):  # `return jsonify(…)`, without the status
        response.status_code = 200
    if "access_token" in body:
        if settings.has("nan"):  # a gap in a data frame
            body["quota"] = float("nan")
        if settings.has("big_int"):  # integers have no end
            body["tenant_id"] = 2**63 + 1
        if settings.has("bytes_text") and "id_token" in body:  # str() of the bytes that a library gave
            body["id_token"] = str(body["id_token"].encode())
    if settings.has("html_type"):  # `return json.dumps(…)`, which Flask takes for a page
        response.mimetype = "text/html"
    if settings.has("repr"):  # str() instead of json.dumps()
        response.set_data(str(body))
    else:
        response.set_data(json.dumps(body))
    return response


def change(store: Store, action: str, asked: dict) -> Response:
    """Carries out what a test wants of a provider."""
    match action:
        case "settings":
            store.settings = Settings(**asked)
        case "device":
            store.decisions[asked["userCode"]] = not asked.get("deny", False)
        case "browser":
            store.person_denies = asked.get("deny", False)
        case "refresh-token":
            found = store.token_by(asked["token"])
            return jsonify(active=found is not None and not (found.revoked or found.spent))
        case "end-sessions":
            for issued in store.tokens:
                issued.revoked = True
        case "disable-person":
            store.person_is_disabled = True
        case "rotate-keys":
            store.rotate_key()
        case _:
            return Response(f"there is no action {action}", status=400)
    return jsonify(None)
