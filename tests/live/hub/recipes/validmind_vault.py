"""Keeps the sign-in of the ValidMind Python library in Vault, beside that of the Deno kernels.

    import validmind_vault

    validmind_vault.install()  # before vm.init()

Reads VAULT_ADDR and the options of the Deno backend, so that one environment serves both languages:
a sign-in in one serves the other, and one refresh at a time runs. Takes KV version 2 and the login
by a JWT, as in the configuration of the hub. Tried with validmind 2.15.0, and with the code of the
library's pull request for stores (July 2026), whose calls name a `backend`: Vault takes its place.
"""

import contextlib
import hashlib
import json
import os
import string
import threading
import time
import uuid

import requests
from validmind import credentials_store, oidc_device

OPTIONS = "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS"
# The times of the Deno backend. Both languages take a lock by one rule, or neither can trust it.
SIGN_SECONDS = 2
SILENT_SECONDS = 25
WAIT_SECONDS = 40


class Vault:
    """The folder of one person in Vault."""

    def __init__(self):
        options = json.loads(string.Template(os.environ[OPTIONS]).substitute(os.environ))
        self.auth = options["auth"]
        self.url = f"{os.environ['VAULT_ADDR'].rstrip('/')}/v1"
        self.folder = f"{options.get('mount', 'secret')}/%s/{options['path']}"
        self.token = None

    def log_in(self):
        with open(self.auth["jwtFile"], encoding="utf-8") as file:
            login = {"role": self.auth["role"], "jwt": file.read().strip()}
        path = f"auth/{self.auth.get('mount', 'jwt')}/login"
        answer = requests.post(f"{self.url}/{path}", json=login, timeout=15)
        answer.raise_for_status()
        self.token = answer.json()["auth"]["client_token"]

    def request(self, method, kind, name, body=None):
        url = f"{self.url}/{self.folder % kind}/{name}"
        for attempt in (1, 2):
            if self.token is None:
                self.log_in()
            headers = {"X-Vault-Token": self.token}
            answer = requests.request(method, url, json=body, headers=headers, timeout=15)
            if answer.status_code != 403 or attempt == 2:
                return answer
            self.token = None  # it may have ended

    def read(self, name):
        """The data of a secret, and the version that a write has to replace."""
        answer = self.request("GET", "data", name)
        if answer.status_code not in (200, 404):
            answer.raise_for_status()
        data = answer.json().get("data") or {}
        return data.get("data"), (data.get("metadata") or {}).get("version", 0)

    def write(self, name, data, version):
        """Whether it was written: not where another write came first."""
        answer = self.request("POST", "data", name, {"options": {"cas": version}, "data": data})
        if answer.status_code == 400 and "check-and-set" in answer.text:
            return False
        answer.raise_for_status()
        return True

    def get(self, key):
        data, _ = self.read(name_of(key))
        return None if data is None else json.loads(data["entry"])

    def put(self, key, entry):
        name = name_of(key)
        # One version is kept, so that a former token cannot be brought back.
        self.request("POST", "metadata", name, {"max_versions": 1}).raise_for_status()
        while not self.write(name, {"key": key, "entry": json.dumps(entry)}, self.read(name)[1]):
            pass

    def delete(self, key):
        self.request("DELETE", "metadata", name_of(key)).raise_for_status()

    @contextlib.contextmanager
    def lock(self, key):
        """Holds the lease that a refresh in a Deno kernel takes, too."""
        name, holder = f"{name_of(key)}.lock", str(uuid.uuid4())
        self._take(name, holder)
        ended = threading.Event()
        signs = threading.Thread(target=self._show_life, args=(name, holder, ended), daemon=True)
        signs.start()
        try:
            yield
        finally:
            ended.set()
            signs.join()
            self._write_own(name, holder, "")

    def _show_life(self, name, holder, ended):
        while not ended.wait(SIGN_SECONDS):
            with contextlib.suppress(requests.RequestException):
                self._write_own(name, holder, holder)

    def _write_own(self, name, holder, next_holder):
        row, version = self.read(name)
        if row and row.get("holder") == holder:
            self.write(name, {"holder": next_holder}, version)

    def _take(self, name, holder):
        started = since = looked = time.monotonic()
        seen = None
        while (now := time.monotonic()) - started < WAIT_SECONDS:
            row, version = self.read(name)
            # While this process stands still it cannot see a holder show life.
            if seen != version or now - looked > 5:
                seen, since = version, time.monotonic()
            looked = now
            is_free = row is None or row["holder"] == ""
            if (is_free or now - since >= SILENT_SECONDS) and self.write(
                name, {"holder": holder}, version
            ):
                return
            time.sleep(0.2)
        raise TimeoutError("Cannot lock credentials in Vault: another kernel holds the lock.")


def name_of(key):
    return hashlib.sha256(key.encode()).hexdigest()


def install():
    """Puts Vault in the place of the library's file. Nothing else of the library changes."""
    vault = Vault()
    refresh = oidc_device.try_refresh_cached_tokens
    refreshed = {}

    def get(issuer, client_id, path=None, audience=None, backend=None):
        return vault.get(credentials_store.credential_key(issuer, client_id, audience))

    def upsert(issuer, client_id, entry, path=None, audience=None, backend=None):
        key = credentials_store.credential_key(issuer, client_id, audience)
        # The library stores what a refresh gave once more, when the lock is free again.
        if refreshed.get(key) != entry["access_token"]:
            vault.put(key, {"issuer": issuer, "client_id": client_id, **entry})

    def delete(issuer, client_id, path=None, audience=None, backend=None):
        vault.delete(credentials_store.credential_key(issuer, client_id, audience))

    def refresh_alone(issuer, client_id, refresh_token, scope, audience=None):
        key = credentials_store.credential_key(issuer, client_id, audience)
        with vault.lock(key):
            entry = vault.get(key) or {}
            latest = entry.get("refresh_token") or refresh_token
            if latest == refresh_token or credentials_store.is_expired(entry):
                entry = refresh(issuer, client_id, latest, scope, audience=audience)
                vault.put(key, entry)
        refreshed[key] = entry["access_token"]
        return entry

    credentials_store.get_cached_entry = get
    credentials_store.upsert_cached_entry = upsert
    credentials_store.delete_cached_entry = delete
    oidc_device.try_refresh_cached_tokens = refresh_alone
