"""What the provider keeps: its settings, its clients, its key and all that it has issued."""

import threading
import time
from dataclasses import dataclass, field

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin, list_to_scope, scope_to_list
from authlib.oidc.core import AuthorizationCodeMixin, UserInfo
from joserfc.jwk import RSAKey

PERSON = "analyst@example.com"
SECRET = "Zq7%/+~ x&=9Kf:w-._!*'()"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Settings:
    """What a test may change while the server runs. The names are those of the JSON."""

    accessTokenSeconds: int = 3600
    idTokenSeconds: int = 300
    deviceSeconds: int = 600
    interval: int = 1
    rotate: bool = True
    date: bool = True
    jwt: bool = False
    oddities: list[str] = field(default_factory=list)

    def has(self, oddity: str) -> bool:
        return oddity in self.oddities


@dataclass
class Client(ClientMixin):
    client_id: str
    grants: list[str]
    store: "Store"
    secret: str = ""
    key: dict | None = None
    redirect_uris: tuple[str, ...] = ("http://127.0.0.1/callback", "http://localhost/callback")

    def get_client_id(self):
        return self.client_id

    def get_default_redirect_uri(self):
        return self.redirect_uris[0]

    def get_allowed_scope(self, scope):
        allowed = [s for s in scope_to_list(scope or "") or [] if s in self.store.scopes]
        # A column of lists: the answer has one, too.
        return allowed if self.store.settings.has("scope_list") else list_to_scope(allowed)

    def check_redirect_uri(self, redirect_uri):
        head, _, path = redirect_uri.rpartition("/")
        return f"{head.rpartition(':')[0]}/{path}" in self.redirect_uris

    def check_client_secret(self, client_secret):
        return self.secret != "" and client_secret == self.secret

    def check_endpoint_auth_method(self, method, endpoint):
        if self.key is not None:
            return method == "private_key_jwt"
        return (method == "none") == (self.secret == "")

    def check_response_type(self, response_type):
        return response_type == "code"

    def check_grant_type(self, grant_type):
        return grant_type in self.grants


@dataclass
class Code(AuthorizationCodeMixin):
    client_id: str
    code: str
    redirect_uri: str
    scope: str
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None
    auth_time: int = field(default_factory=lambda: int(time.time()))

    def get_redirect_uri(self):
        return self.redirect_uri

    def get_scope(self):
        return self.scope

    def get_nonce(self):
        return self.nonce

    def get_auth_time(self):
        return self.auth_time

    def get_acr(self):
        return None

    def get_amr(self):
        return None


@dataclass
class Token(TokenMixin):
    client_id: str
    access_token: str
    refresh_token: str | None
    scope: object
    expires_at: float
    family: str
    revoked: bool = False
    spent: bool = False

    def check_client(self, client):
        return self.client_id == client.get_client_id()

    def get_scope(self):
        return list_to_scope(scope_to_list(self.scope))

    def get_expires_in(self):
        return int(self.expires_at - time.time())

    def is_expired(self):
        return self.expires_at < time.time()

    def is_revoked(self):
        return self.revoked


class Store:
    def __init__(self, client_key: dict | None = None):
        self.settings = Settings()
        self.scopes = ["openid", "profile", "email", "offline_access"]
        self.person = UserInfo(sub=PERSON, email=PERSON, name="Ada Analyst")
        self.person_is_disabled = False
        self.person_denies = False
        self.tokens: list[Token] = []
        self.codes: dict[str, Code] = {}
        self.devices: dict[str, dict] = {}
        self.decisions: dict[str, bool] = {}
        self.lock = threading.RLock()
        self.clients = known_clients(self, client_key)
        self.rotate_key()

    def rotate_key(self) -> None:
        self.key = RSAKey.generate_key(2048, auto_kid=True)

    def public_keys(self) -> dict:
        key = {**self.key.as_dict(private=False), "use": "sig", "alg": "RS256"}
        if self.settings.has("keys_without_kid"):
            del key["kid"]
        return {"keys": [key]}

    def client(self, client_id: str) -> Client | None:
        return None if client_id == "disabled" else self.clients.get(client_id)

    def token_by(self, text: str) -> Token | None:
        return next((t for t in self.tokens if text in (t.access_token, t.refresh_token)), None)

    def end_family(self, family: str) -> None:
        for issued in self.tokens:
            if issued.family == family:
                issued.revoked = True


def known_clients(store: Store, client_key: dict | None) -> dict[str, Client]:
    """The clients that are there from the start. "resource" asks whether tokens are active."""
    browser = ["authorization_code", "refresh_token"]
    person = [*browser, DEVICE]
    machine = [*person, "client_credentials"]
    clients = [
        Client("public", person, store),
        Client("browser", browser, store),
        Client("disabled", person, store),
        Client("secret", machine, store, SECRET),
        Client("key", machine, store, key=client_key),
        Client("resource", [], store, SECRET),
    ]
    return {client.client_id: client for client in clients}
