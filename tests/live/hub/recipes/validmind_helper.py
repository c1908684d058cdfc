"""Keeps the sign-in of the ValidMind Python library by the helper program of the Deno kernels.

    import validmind_helper

    validmind_helper.install()  # before vm.init()

Reads the options of the Deno backend, so that one environment serves both languages: a sign-in in
one serves the other, and one refresh at a time runs. Tried with validmind 2.15.0, where there is fcntl.
"""

import base64
import contextlib
import fcntl
import functools
import hashlib
import json
import os
import string
import subprocess

from validmind import credentials_store, oidc_device

OPTIONS = "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS"
ADDRESS = "https://validmind-auth.invalid/"
ABSENT = "credentials not found in native keychain"


class Helper:
    """A program that speaks the protocol of docker's credential helpers."""

    def __init__(self, program, args=(), env=None, timeoutMs=30_000, lockFolder="~/.validmind", **_):
        self.command = [program, *args]
        self.options = {"env": {**os.environ, **(env or {})}, "timeout": timeoutMs / 1000}
        self.folder = os.path.expanduser(lockFolder)

    def run(self, action, text):
        """What the program prints; None where it says that there is no such entry."""
        command = [*self.command, action]
        ended = subprocess.run(command, input=text, capture_output=True, text=True, **self.options)
        if ended.returncode == 1 and ended.stdout.strip() == ABSENT:
            return None
        if ended.returncode != 0:
            words = f"{self.command[0]} ended with code {ended.returncode}"
            raise RuntimeError(f"Cannot {action} credentials: {words}.")
        return ended.stdout

    def get(self, key):
        address, is_long = address_of(key)
        answer = self.run("get", address)
        stored = {} if answer is None else json.loads(json.loads(answer)["Secret"])
        return (stored.get("entry") if is_long else stored) or None

    def put(self, key, entry):
        address, is_long = address_of(key)
        secret = json.dumps({"key": key, "entry": entry} if is_long else entry)
        account = {"ServerURL": address, "Username": entry["client_id"], "Secret": secret}
        self.run("store", json.dumps(account))
        if self.get(key) != entry:
            raise RuntimeError("Cannot store credentials: the program gives back something else.")

    def delete(self, key):
        if self.get(key) is not None:
            self.run("erase", address_of(key)[0])

    @contextlib.contextmanager
    def lock(self, key):
        """Holds the file lock that a refresh in a Deno kernel takes, too."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        name = f"helper.{short_hash(' '.join(self.command))}.{short_hash(key)[-1]}.lock"
        file = os.open(os.path.join(self.folder, name), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)


def address_of(key):
    """The name of an entry, and whether it has only the hash of a long key."""
    name = key.encode()
    is_long = len(name) > 100
    name = hashlib.sha256(name).digest() if is_long else name
    text = base64.urlsafe_b64encode(name).decode().rstrip("=")
    return f"{ADDRESS}{'.' if is_long else ''}{text}", is_long


def short_hash(text):
    """FNV-1a."""
    step = lambda value, byte: ((value ^ byte) * 0x01000193) & 0xFFFFFFFF  # noqa: E731
    return f"{functools.reduce(step, text.encode(), 0x811C9DC5):08x}"


def install():
    """Puts the program in the place of the library's file. Nothing else of the library changes."""
    helper = Helper(**json.loads(string.Template(os.environ[OPTIONS]).substitute(os.environ)))
    key_of = credentials_store.credential_key
    refresh = oidc_device.try_refresh_cached_tokens
    refreshed = {}

    def get(issuer, client_id, path=None, audience=None):
        return helper.get(key_of(issuer, client_id, audience))

    def upsert(issuer, client_id, entry, path=None, audience=None):
        key = key_of(issuer, client_id, audience)
        # The library stores what a refresh gave once more, when the lock is free again.
        if refreshed.get(key) != entry["access_token"]:
            helper.put(key, {"issuer": issuer, "client_id": client_id, **entry})

    def delete(issuer, client_id, path=None, audience=None):
        helper.delete(key_of(issuer, client_id, audience))

    def refresh_alone(issuer, client_id, refresh_token, scope, audience=None):
        key = key_of(issuer, client_id, audience)
        with helper.lock(key):
            entry = helper.get(key) or {}
            latest = entry.get("refresh_token") or refresh_token
            if latest == refresh_token or credentials_store.is_expired(entry):
                entry = refresh(issuer, client_id, latest, scope, audience=audience)
                helper.put(key, entry)
        refreshed[key] = entry["access_token"]
        return entry

    credentials_store.get_cached_entry = get
    credentials_store.upsert_cached_entry = upsert
    credentials_store.delete_cached_entry = delete
    oidc_device.try_refresh_cached_tokens = refresh_alone
