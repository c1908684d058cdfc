"""The grants and endpoints of Authlib, bound to the store as its documentation says."""

import secrets
import time

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7662 import IntrospectionEndpoint
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant, DeviceCredentialDict
from authlib.oidc.core.grants import OpenIDCode
from authlib.oidc.core.grants.code import OpenIDToken
from joserfc import jwt
from joserfc.jwk import import_key

from store import Code, Store, Token

METHODS = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
#: The names of Authlib's endpoints, and where discovery has their addresses.
ENDPOINTS = {
    "device_authorization": "device_authorization_endpoint",
    "revocation": "revocation_endpoint",
    "introspection": "introspection_endpoint",
}
#: "Never", as the end of a token.
FAR = 9_000_000_000_000_000


def register(app, store: Store, issuer: str, token_url: str) -> AuthorizationServer:
    server = AuthorizationServer(app, query_client=store.client, save_token=None)
    server.save_token = lambda token, request: save(store, token, request)
    server.register_client_auth_method("private_key_jwt", assertion(store, [issuer, token_url]))
    generator = server._token_generators["default"]
    generator.expires_generator = lambda client, grant_type: lifetime(store)
    generator.access_token_generator = lambda **asked: access_token(store, issuer, **asked)
    id_tokens = id_token_of(store, issuer)
    server.register_grant(code_grant(store), [CodeChallenge(required=False), id_tokens(OpenIDCode)()])
    server.register_grant(device_grant(store), [id_tokens(OpenIDToken)()])
    server.register_grant(refresh_grant(store), [id_tokens(OpenIDToken)()])
    server.register_grant(
        type("ClientGrant", (grants.ClientCredentialsGrant,), {"TOKEN_ENDPOINT_AUTH_METHODS": METHODS})
    )
    server.register_endpoint(device_endpoint(store, issuer))
    server.register_endpoint(revocation_endpoint(store))
    server.register_endpoint(introspection_endpoint(store))
    return server


def assertion(store: Store, audiences: list[str]) -> JWTBearerClientAssertion:
    class Assertion(JWTBearerClientAssertion):
        CLIENT_AUTH_METHOD = "private_key_jwt"

        def get_audiences(self):
            return audiences

        def validate_jti(self, claims, jti):
            return True

        def resolve_client_public_key(self, client):
            return import_key(client.key)

    return Assertion()


def lifetime(store: Store):
    seconds = store.settings.accessTokenSeconds
    if store.settings.has("far_end"):
        return FAR
    # What is left by time.time(), not rounded.
    return seconds - 0.25 if store.settings.has("float_times") else seconds


def access_token(store: Store, issuer: str, client, user, scope, **_) -> str:
    if not store.settings.jwt:
        return secrets.token_urlsafe(32)
    now = int(time.time())
    claims = {
        "iss": issuer,
        "sub": user["sub"] if user else client.get_client_id(),
        "client_id": client.get_client_id(),
        "iat": now,
        "exp": now + store.settings.accessTokenSeconds,
        "jti": secrets.token_urlsafe(8),
    }
    return jwt.encode({"alg": "RS256", "typ": "at+jwt", "kid": store.key.kid}, claims, store.key)


def save(store: Store, token: dict, request) -> None:
    old = getattr(request, "refresh_token", None)
    store.tokens.append(
        Token(
            client_id=request.client.get_client_id(),
            access_token=token["access_token"],
            refresh_token=token.get("refresh_token"),
            scope=token.get("scope", ""),
            expires_at=time.time() + float(token["expires_in"]),
            family=old.family if old else secrets.token_hex(8),
        )
    )


def id_token_of(store: Store, issuer: str):
    def made(base):
        class IdToken(base):
            def exists_nonce(self, nonce, request):
                return any(code.nonce == nonce for code in store.codes.values())

            def resolve_client_private_key(self, client):
                return store.key

            def get_encode_header(self, client):
                return {"alg": "RS256", "kid": store.key.kid}

            def get_client_claims(self, client):
                now = time.time()
                whole = now if store.settings.has("float_times") else int(now)
                end = FAR if store.settings.has("far_end") else whole + store.settings.idTokenSeconds
                return {"iss": issuer, "aud": [client.get_client_id()], "iat": whole, "exp": end}

            def generate_user_info(self, user, scope):
                if store.settings.has("number_as_sub"):  # the primary key of a table
                    return {**user, "sub": 42}
                return user

        return IdToken

    return made


def code_grant(store: Store):
    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def save_authorization_code(self, code, request):
            data = request.payload.data
            store.codes[code] = Code(
                client_id=request.client.get_client_id(),
                code=code,
                redirect_uri=request.payload.redirect_uri,
                scope=request.scope,
                nonce=data.get("nonce"),
                code_challenge=data.get("code_challenge"),
                code_challenge_method=data.get("code_challenge_method"),
            )

        def query_authorization_code(self, code, client):
            found = store.codes.get(code)
            return found if found and found.client_id == client.get_client_id() else None

        def delete_authorization_code(self, authorization_code):
            del store.codes[authorization_code.code]

        def authenticate_user(self, authorization_code):
            return store.person

    return CodeGrant


def device_grant(store: Store):
    class DeviceGrant(DeviceCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        def query_device_credential(self, device_code):
            return store.devices.get(device_code)

        def query_user_grant(self, user_code):
            approved = store.decisions.get(user_code)
            return None if approved is None else (store.person, approved)

        def should_slow_down(self, credential):
            return False

    return DeviceGrant


def device_endpoint(store: Store, issuer: str):
    class DeviceEndpoint(DeviceAuthorizationEndpoint):
        CLIENT_AUTH_METHODS = METHODS

        @property
        def EXPIRES_IN(self):
            return store.settings.deviceSeconds

        @property
        def INTERVAL(self):
            return store.settings.interval

        def get_verification_uri(self):
            return issuer + "/device"

        def save_device_credential(self, client_id, scope, data):
            store.devices[data["device_code"]] = DeviceCredentialDict(
                client_id=client_id,
                scope=scope,
                expires_at=time.time() + data["expires_in"],
                user_code=data["user_code"],
            )

    return DeviceEndpoint


def refresh_grant(store: Store):
    class RefreshGrant(grants.RefreshTokenGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = METHODS

        @property
        def INCLUDE_NEW_REFRESH_TOKEN(self):
            return store.settings.rotate

        def authenticate_refresh_token(self, refresh_token):
            found = store.token_by(refresh_token)
            if found and found.spent:
                store.end_family(found.family)
            return found if found and not found.revoked else None

        def authenticate_user(self, refresh_token):
            return None if store.person_is_disabled else store.person

        def revoke_old_credential(self, refresh_token):
            # Forgotten together with INCLUDE_NEW_REFRESH_TOKEN, the sign-in ends at its next refresh.
            if store.settings.rotate or store.settings.has("revoked_without_new"):
                refresh_token.spent = True

    return RefreshGrant


def revocation_endpoint(store: Store):
    class Revocation(RevocationEndpoint):
        @property
        def CLIENT_AUTH_METHODS(self):
            # Authlib's own default has no public clients.
            basic = store.settings.has("basic_revocation")
            return RevocationEndpoint.CLIENT_AUTH_METHODS if basic else METHODS

        def query_token(self, token_string, token_type_hint):
            return store.token_by(token_string)

        def revoke_token(self, token, request):
            store.end_family(token.family)

    return Revocation


def introspection_endpoint(store: Store):
    class Introspection(IntrospectionEndpoint):
        def query_token(self, token_string, token_type_hint):
            return store.token_by(token_string)

        def check_permission(self, token, client, request):
            return True

        def introspect_token(self, token):
            return {"active": True, "client_id": token.client_id, "scope": token.get_scope()}

    return Introspection
