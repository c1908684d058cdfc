"""Keeps the sign-in of the ValidMind Python library in Vault or in a helper program, with the Deno kernels.

    import validmind_store

    validmind_store.install()  # before vm.init()

Or without a line in a notebook: validmind_store.pth beside this file, in Python's site-packages.

Reads the two variables of the Deno backend, so that one environment serves both languages: a sign-in in
one serves the other, and one refresh at a time runs. Tried with validmind 2.15.0, and with the calls of
the library's pull request for stores (July 2026), which name a `backend`: this store takes its place.

The library removes its entry after each refresh that fails. Here it stays, unless the provider says that
the grant is over. A token of Vault is not renewed: a login by a token ends with it. The locks are those of backends/vault/locked_secrets.ts and backends/file/lock.ts.
"""

import base64
import collections
import contextlib
import functools
import hashlib
import importlib.abc
import importlib.machinery
import ipaddress
import json
import os
import random
import re
import stat
import subprocess
import sys
import threading
import time
import typing
import urllib.parse
import uuid

BACKEND = "VM_OIDC_DENO_CREDENTIALS_BACKEND"
KWARGS = f"{BACKEND}_KWARGS"
SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token"

TEXT, NUMBER = (str,), (int, float)
JWT = {"role": TEXT, "jwtFile": TEXT, "mount": TEXT}
LOGINS = {
    "token": {"token": TEXT, "tokenFile": TEXT},
    "approle": {"roleId": TEXT, "secretId": TEXT, "secretIdFile": TEXT, "mount": TEXT},
    "jwt": JWT,
    "kubernetes": JWT,
}
OPTIONS = {
    "vault": {
        **{name: TEXT for name in ("path", "address", "namespace", "caCert", "mount")},
        **{"auth": (dict,), "timeoutMs": NUMBER, "lockTimeoutMs": NUMBER},
    },
    "helper": {
        **{"program": TEXT, "args": (list,), "env": (dict,), "timeoutMs": NUMBER},
        **{"lockFolder": TEXT, "lockTimeoutMs": NUMBER},
    },
}
REQUIRED = {"vault": "path", "helper": "program", "approle": "roleId", "jwt": "role", "kubernetes": "role"}


class StoreError(RuntimeError):
    """The store cannot be used. The library lets it through, and removes nothing."""

    def __init__(self, action, reason, remedy):
        super().__init__(f"Cannot {action}: {reason}. {remedy}")


def check(kind, given, types):
    """Refuses an option that would be passed over. No value is shown: it may be a secret."""
    for name, value in given.items():
        if name not in types or not isinstance(value, types[name]) or isinstance(value, bool):
            known = ", ".join(types)
            raise StoreError(
                f"read {KWARGS}", f'"{name}" of {kind} is not known, or not of its type', f"Known: {known}."
            )
    if REQUIRED.get(kind, "") not in ("", *given):
        raise StoreError(f"read {KWARGS}", f'{kind} needs "{REQUIRED[kind]}"', "Give it.")


def filled(value):
    """A value with its ${NAME}s replaced."""
    if isinstance(value, dict):
        return {name: filled(one) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one) for one in value]
    if not isinstance(value, str):
        return value

    def variable(match):
        if not os.environ.get(match[1]):
            raise StoreError(f"read {KWARGS}", f"{match[1]} is not set", "Set it.")
        return os.environ[match[1]]

    return re.sub(r"\$\{([^}]*)\}", variable, value)


def pauses(seconds, over):
    """Yields for each try of a thing, until it has taken too long."""
    end, pause = time.monotonic() + seconds, 0.02
    while True:
        yield
        if time.monotonic() + pause >= end:
            raise over
        time.sleep(pause * (0.5 + random.random() / 2))
        pause = min(2 * pause, 0.5)


def read_secret(path):
    """A token in a file that nobody else may write, and that only the owner and the group read."""
    action = f"log in to Vault by the file {path}"
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), encoding="utf-8") as file:
            info = os.fstat(file.fileno())
            is_root = info.st_uid == 0
            is_open = info.st_mode & (0o022 if is_root else 0o027) and os.name == "posix"
            if not stat.S_ISREG(info.st_mode) or info.st_size > 1024 * 1024 or is_open:
                raise StoreError(action, "it is not a closed file with a token", "Run chmod 600.")
            if os.name == "posix" and not is_root and info.st_uid != os.geteuid():
                raise StoreError(action, "it belongs to another user", "Use one of your own.")
            return file.read().strip()
    except (OSError, ValueError) as error:
        raise StoreError(action, type(error).__name__, "Check its path, owner and mode.") from None


class Answer(typing.NamedTuple):
    status: int
    body: dict

    @property
    def data(self):
        return self.body.get("data") or {}

    @property
    def version(self):
        return (self.data.get("metadata") or {}).get("version", 0)

    @property
    def words(self):
        return str((self.body.get("errors") or [""])[0])


class VaultClient:
    """Requests with a token that is obtained as needed. Each is repeated after a passing trouble."""

    def __init__(self, address, namespace, ca_cert, auth, seconds):
        host = urllib.parse.urlsplit(address).hostname or ""
        with contextlib.suppress(ValueError):
            host = "localhost" if ipaddress.ip_address(host).is_loopback else host
        self.is_local = host == "localhost"
        url = urllib.parse.urlsplit(address)
        is_plain = not (url.username or url.password or url.query or url.fragment)
        if not is_plain or not host or url.scheme not in ("https", *["http"] * self.is_local):
            reason = "its address is not a plain https: URL"
            raise StoreError("use Vault", reason, "Give VAULT_ADDR or address; http: is for loopback only.")
        self.url = re.sub(r"(/v1)?/*$", "", address, count=1) + "/v1"
        self.headers = {"X-Vault-Request": "true"}
        if namespace:
            self.headers["X-Vault-Namespace"] = namespace
        if ca_cert and not os.path.isfile(ca_cert):
            raise StoreError("use Vault", f"{ca_cert} is not a file", "Correct caCert or VAULT_CACERT.")
        self.verify = ca_cert or True
        self.auth = auth
        self.seconds = seconds
        self.login = threading.Lock()
        self.held = None

    def ask(self, action, method, path, body=None, is_known=None, seconds=None):
        """The answer, if it is one that is known."""
        answer = self._request(action, method, path, body, seconds)
        if is_known(answer) if is_known else answer.status < 300:
            return answer
        reason = f"it answers with status {answer.status}"
        raise StoreError(f"{action} Vault", reason, "Check the address, the mount and the path.")

    def _request(self, action, method, path, body, seconds):
        token = self._token()
        answer = self._send(action, method, path, body, token, seconds)
        if answer.status != 403:
            return answer
        # Both for a token that has ended and for a denial by a policy.
        denied = StoreError(f"{action} Vault", f"its policy does not allow {method} of {path}", "Extend it.")
        if self._send(action, "GET", "auth/token/lookup-self", None, token).status == 200:
            raise denied
        renewed = self._token(token)
        if renewed == token:
            raise StoreError(f"{action} Vault", "the token has ended, or is missing", "Get a new one.")
        answer = self._send(action, method, path, body, renewed, seconds)
        if answer.status == 403:
            raise denied
        return answer

    def _token(self, *ended):
        with self.login:
            if self.held is None or self.held in [(one,) for one in ended]:
                self.held = (self._log_in(),)
            return self.held[0]

    def _log_in(self):
        auth = self.auth
        method = auth["method"]
        if method == "token":
            file = auth.get("tokenFile")
            token = auth.get("token") or (read_secret(file) if file else os.environ.get("VAULT_TOKEN"))
            if token is None and self.is_local:
                return None  # a Vault Agent there adds its own
            if token and re.fullmatch(r"[\x21-\x7e]+", token):
                return token
            raise StoreError("log in to Vault", "there is no token", "Set VAULT_TOKEN, or give auth.")
        if method == "approle":
            file = auth.get("secretIdFile")
            secret = read_secret(file) if file else auth.get("secretId")
            body = {"role_id": auth["roleId"], "secret_id": secret}
        else:
            body = {"role": auth["role"], "jwt": read_secret(auth.get("jwtFile", SERVICE_ACCOUNT))}
        path = f"auth/{encoded(auth.get('mount', method))}/login"
        answer = self._send("log in to", "POST", path, body, None)
        token = (answer.body.get("auth") or {}).get("client_token")
        if token:
            return token
        reason = f"it refuses the login by {method} at {path} with status {answer.status}"
        raise StoreError("log in to Vault", reason, "Check the mount, the role and the secret.")

    def _send(self, action, method, path, body, token, seconds=None):
        seconds = min(seconds or self.seconds, self.seconds)
        end = time.monotonic() + seconds
        over = StoreError(f"{action} Vault", "it does not serve now", "Try again later.")
        for _ in pauses(seconds, over):
            answer = self._send_once(action, method, path, body, token, end - time.monotonic())
            if answer is not None:
                return answer
        raise over

    def _send_once(self, action, method, path, body, token, left):
        """None after a trouble that may pass."""
        import requests

        headers = {**self.headers, **({"X-Vault-Token": token} if token else {})}
        # The token follows no redirect.
        options = {"json": body, "headers": headers, "allow_redirects": False, "verify": self.verify}
        if self.is_local:  # a proxy would get the token in clear text
            options["proxies"] = {"http": None, "all": None}
        try:
            answer = requests.request(method, f"{self.url}/{path}", timeout=max(left, 0.1), **options)
        except requests.exceptions.SSLError:
            reason = "its certificate is not trusted"
            raise StoreError(f"{action} Vault", reason, "Name the authority in VAULT_CACERT.") from None
        except requests.RequestException:
            return None
        status = answer.status_code
        if 300 <= status < 400:
            # A standby names the active node for a moment after that has died.
            if status in (307, 308) and "/v1/" in answer.headers.get("location", ""):
                return None
            raise StoreError(f"{action} Vault", "it redirects", "Give the address of the active node.")
        if status >= 500 or status in (412, 429, 472, 473):
            return None
        if status == 400 and "versioned data" in answer.text:
            return None
        try:
            body = answer.json() if answer.text else {}
        except ValueError:
            body = None
        if isinstance(body, dict):
            return Answer(status, body)
        raise StoreError(f"{action} Vault", "another server than Vault answers", "Check the address.")


def encoded(path):
    return "/".join(urllib.parse.quote(part, safe="") for part in path.split("/"))


class Row(typing.NamedTuple):
    """One secret, with its entry and the holder of its lock."""

    version: int
    key: str
    text: str
    holder: str
    is_foreign: bool = False


class Held:
    """A lock that this process holds."""

    def __init__(self, row):
        self.row = row
        self.is_lost = False
        self.turn = threading.RLock()


# The times of backends/vault/locked_secrets.ts. Both take a lock by one rule, or neither can trust it.
SIGN, SILENT, LONGEST_GAP, PROOF, OWN, CHANGE, BRIEFLY = 2, 23, 5, 10, 60, 15, 5


class Vault:
    """Secrets that are their own locks. Only a check-and-set that succeeds proves anything."""

    def __init__(self, path, mount="secret", auth=None, timeoutMs=15_000, lockTimeoutMs=40_000, **place):
        for part in [*path.split("/"), *mount.split("/")]:
            if re.search(r"^\s*$|^\.\.?$|[\x00-\x1f\x7f]|\$[A-Z{]", part):
                raise StoreError("use Vault", "path or mount has an unusable part", "Correct it.")
        auth = auth or {"method": "token"}
        login = {name: value for name, value in auth.items() if name != "method"}
        if auth.get("method") not in LOGINS:
            raise StoreError("use Vault", "auth.method is not known", f"Known: {', '.join(LOGINS)}.")
        check(auth["method"], login, LOGINS[auth["method"]])
        # An address that is given takes nothing of where from the variables.
        env = {} if "address" in place else os.environ
        address = place.get("address") or env.get("VAULT_ADDR") or ""
        namespace = place.get("namespace") or env.get("VAULT_NAMESPACE")
        ca_cert = place.get("caCert") or env.get("VAULT_CACERT")
        self.client = VaultClient(address, namespace, ca_cert, auth, timeoutMs / 1000)
        self.mount = mount
        self.folder = f"{encoded(mount)}/%s/{encoded(path)}/%s"
        self.lock_seconds = lockTimeoutMs / 1000
        self.id = str(uuid.uuid4())
        self.held, self.own, self.sightings = {}, {}, {}
        self.queues = collections.defaultdict(threading.Lock)
        self.is_checked = False

    def get(self, key):
        row = self._row(name_of(key), key)
        if row.is_foreign:
            raise StoreError("read credentials in Vault", "another program wrote them", "Sign out.")
        return json.loads(row.text) if row.text else None

    def put(self, key, entry):
        """Stores an entry; under the lock only where nobody has signed out or taken it over."""
        self._change(key, json.dumps(entry))

    def end(self, key):
        """Removes the entry while this process holds its lock."""
        self._destroy_before(name_of(key), self._change(key, "").version)

    def delete(self, key):
        """Writes an empty entry over whatever is there, and destroys older versions."""
        name = name_of(key)
        over = StoreError("remove credentials in Vault", "others keep changing them", "Try again.")
        for _ in pauses(CHANGE, over):
            row = self._write(name, Row(0, key, "", ""), None)
            row = row or self._write(name, Row(0, key, "", ""), self._look(name, key).version)
            if row is not None:
                self._destroy_before(name, row.version)
                return self._keep_one_version(name)  # last: the tokens go also where it is refused

    @contextlib.contextmanager
    def lock(self, key):
        name = name_of(key)
        over = StoreError("lock credentials in Vault", "another notebook holds them", "Try again.")
        if not self.queues[name].acquire(timeout=self.lock_seconds):
            raise over
        try:
            held = self._take(name, key, over)
            self.held[name] = held
            ended = threading.Event()
            signs = threading.Thread(target=self._show_life, args=(name, held, ended), daemon=True)
            signs.start()
            try:
                yield
            finally:
                ended.set()
                signs.join()
                del self.held[name]
                self._release(name, held)
        finally:
            self.queues[name].release()

    def _take(self, name, key, over):
        newest = None
        for _ in pauses(self.lock_seconds, over):
            seen = self._look(name, key)
            # A later look may be answered by a node that is further behind.
            newest = newest if newest and newest.version > seen.version else seen
            if newest.is_foreign:
                raise StoreError("lock credentials in Vault", "another program wrote them", "Sign out.")
            if not self._is_free(name, newest):
                continue
            mine = newest._replace(holder=self.id)
            try:
                written = self._write(name, mine, newest.version)
            except StoreError:
                self._release(name, Held(mine))  # it may have been done without an answer
                raise
            if written is not None:
                self.sightings.pop(name, None)
                return Held(written)

    def _is_free(self, name, row):
        if row.holder in ("", self.id):
            return True
        now = time.monotonic()
        version, at, silent = self.sightings.get(name, (None, now, 0))
        # While this process stands still it cannot see a holder show life.
        silent = silent + min(now - at, LONGEST_GAP) if version == row.version else 0
        self.sightings[name] = (row.version, now, silent)
        return silent >= SILENT

    def _show_life(self, name, held, ended):
        while not ended.wait(SIGN):
            if held.is_lost or time.monotonic() - self.own[name][1] < SIGN / 2:
                continue
            with contextlib.suppress(StoreError), held.turn:
                self._renew(name, held, BRIEFLY)

    def _renew(self, name, held, seconds=None):
        """Writes the held secret as it is. Gives whether that proved that nobody has changed it."""
        written = self._write(name, held.row, held.row.version, seconds)
        if written is not None:
            held.row = written
            return True
        row = self._look(name, held.row.key, seconds)
        if row.version <= held.row.version:
            return False  # that node is late
        if row.holder == self.id:
            held.row = row  # the answer to a write was lost
        else:
            held.is_lost = True
        return False

    def _row(self, name, key):
        held = self.held.get(name)
        if held is None or held.is_lost:
            return self._look(name, key)
        over = StoreError("read credentials in Vault", "a node stayed behind", "Try again.")
        with held.turn:
            if self._is_proven(name):
                return held.row
            for _ in pauses(CHANGE, over):
                if self._renew(name, held):
                    return held.row
                if held.is_lost:
                    return self._look(name, key)

    def _is_proven(self, name):
        """Whether the last write was sent so lately that nobody can have taken over since."""
        if name not in self.own:
            return False
        _, at, wall = self.own[name]
        return time.monotonic() - at <= PROOF and abs(time.time() - wall) <= PROOF

    def _change(self, key, text):
        name = name_of(key)
        held = self.held.get(name)
        lost = "the lock was lost: somebody signed out, or this process stood still"
        over = StoreError("write credentials to Vault", "others keep changing them", "Try again.")
        with held.turn if held else contextlib.nullcontext():
            row = held.row if held and not held.is_lost else self._look(name, key)
            is_tried = False
            for _ in pauses(CHANGE, over):
                if is_tried and row.text == text:
                    return row  # the answer to the write was lost
                if held and held.is_lost:
                    raise StoreError("write credentials to Vault", lost, "Try again.")
                is_tried = True
                written = self._write(name, Row(0, key, text, row.holder), row.version)
                if written is not None:
                    if held:
                        held.row = written
                    return written
                latest = self._look(name, key)
                if latest.version <= row.version:
                    continue  # that node is late
                if held and latest.holder != self.id:
                    held.is_lost = True
                row = latest

    def _release(self, name, held):
        """For others the lock ends by its silence where this fails."""
        with contextlib.suppress(StoreError):
            for _ in pauses(5, StoreError("release credentials in Vault", "it is late", "Wait.")):
                if held.is_lost or held.row.holder == "":
                    return
                free = held.row._replace(holder="")
                if self._write(name, free, held.row.version, BRIEFLY) is not None:
                    return
                row = self._look(name, held.row.key, BRIEFLY)
                if row.version <= held.row.version:
                    continue
                held.row = row
                if row.holder != self.id:
                    return

    def _look(self, name, key, seconds=None):
        """The newest that this process knows: a node that is behind does not know its last write."""
        read = self._read(name, key, seconds)
        own, at, _ = self.own.get(name, (None, 0, 0))
        is_late = own is not None and read.version < own.version and time.monotonic() - at < OWN
        return own if is_late else read

    def _read(self, name, key, seconds):
        self._check_mount()

        def is_known(answer):
            is_absent = answer.status == 404 and answer.body.get("errors") == []
            return answer.status == 200 or is_absent or answer.version > 0

        path = self.folder % ("data", name)
        answer = self.client.ask("read credentials in", "GET", path, None, is_known, seconds)
        nothing = Row(answer.version, key, "", "")
        if answer.status != 200:
            return nothing
        data = answer.data.get("data") or {}
        stored, text, holder = data.get("key"), data.get("entry"), data.get("holder", "")
        is_own = isinstance(stored, str) and isinstance(text, str)
        if not is_own or text != "" and (name_of(stored) != name or not is_object(text)):
            return nothing._replace(is_foreign=True)
        return Row(answer.version, stored, text, holder if isinstance(holder, str) else "")

    def _write(self, name, row, version, seconds=None):
        at, wall = time.monotonic(), time.time()
        # Refused by a node that is behind, it is done by the next one.
        written = self._write_once(name, row, version, seconds)
        written = written or self._write_once(name, row, version, seconds)
        if written is not None:
            self.own[name] = (written, at, wall)
        return written

    def _write_once(self, name, row, version, seconds):
        self._check_mount()
        data = {"key": row.key, "entry": row.text, "holder": row.holder}
        body = {"options": {} if version is None else {"cas": version}, "data": data}

        def is_refused(answer):
            return answer.status == 400 and "check-and-set" in answer.words

        def is_known(answer):
            return is_refused(answer) or answer.data.get("version", 0) > 0

        if version == 0:  # before the first one: a fault in between would leave older ones readable
            self._keep_one_version(name)
        action = "write credentials to"
        answer = self.client.ask(action, "POST", self.folder % ("data", name), body, is_known, seconds)
        return None if is_refused(answer) else row._replace(version=answer.data["version"])

    def _keep_one_version(self, name):
        path = self.folder % ("metadata", name)
        self.client.ask("limit the versions in", "POST", path, {"max_versions": 1})

    def _destroy_before(self, name, version):
        """An engine may keep more versions than a secret asks for."""
        versions = list(range(max(version - 100, 1), version))
        if versions:
            path = self.folder % ("destroy", name)
            self.client.ask("remove credentials in", "POST", path, {"versions": versions})

    def _check_mount(self):
        """An engine of version 1 would answer as if nothing were stored."""
        if self.is_checked:
            return
        data = self.client.ask("use", "GET", f"sys/internal/ui/mounts/{encoded(self.mount)}").data
        is_kv = data.get("type") in ("kv", "generic") and data.get("path") == f"{self.mount}/"
        if not is_kv or (data.get("options") or {}).get("version") != "2":
            raise StoreError("use Vault", "the mount is not a KV engine of version 2", "Correct it.")
        self.is_checked = True


def name_of(key):
    return hashlib.sha256(key.encode()).hexdigest()


def is_object(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


ADDRESS = "https://validmind-auth.invalid/"
ABSENT = "credentials not found in native keychain"


class Helper:
    """A program that speaks the protocol of docker's credential helpers."""

    def __init__(self, program, args=(), env=None, timeoutMs=30_000, lockFolder=None, lockTimeoutMs=30_000):
        if not os.path.isabs(program) and re.search(r"[/\\]", program):
            raise StoreError("use a helper", "program is neither a name nor an absolute path", "Give one.")
        given = (env or {}).get("PATH")
        folders = (os.environ.get("PATH", "") if given is None else given).split(os.pathsep)
        is_looked_for = given is not None or not os.path.isabs(program)
        if is_looked_for and not all(map(os.path.isabs, folders)):
            raise StoreError(f"run {program}", "PATH has a relative folder", "Give an absolute path.")
        self.command = [program, *args]
        self.options = {"env": {**os.environ, **(env or {})}, "timeout": timeoutMs / 1000}
        self.folder = lockFolder or os.path.expanduser("~/.validmind")
        self.lock_seconds = lockTimeoutMs / 1000

    def get(self, key):
        address, is_long = address_of(key)
        stored = self._secret_at(address)
        if stored is None:
            return None
        if is_long and stored.get("key") == key and isinstance(stored.get("entry"), dict):
            return stored["entry"]
        if is_long:
            raise StoreError(f"read by {self.command[0]}", "it gives another entry", "Sign out.")
        return stored

    def put(self, key, entry):
        address, is_long = address_of(key)
        secret = json.dumps({"key": key, "entry": entry} if is_long else entry)
        client = urllib.parse.quote(entry["client_id"], safe="!'()*")[:60] or "-"
        self._good("store", json.dumps({"ServerURL": address, "Username": client, "Secret": secret}))
        if self.get(key) != entry:
            reason = "it gives back something else than it was given"
            raise StoreError(f"store by {self.command[0]}", reason, "Use another store.")

    def delete(self, key):
        address, _ = address_of(key)
        erased = self._run("erase", address)
        if self._secret_at(address) is not None:
            raise StoreError(f"erase by {self.command[0]}", f"it ended with {erased.returncode}", "Try again.")

    end = delete

    def _secret_at(self, address):
        answer = self._run("get", address)
        if answer.returncode != 0 and not is_absent(answer):
            time.sleep(0.25)  # another process may change the store at this moment
            answer = self._run("get", address)
        if is_absent(answer):
            return None
        action = f"read by {self.command[0]}"
        if answer.returncode != 0:
            raise StoreError(action, f"it ended with {answer.returncode}", "Run it in a terminal.")
        try:
            account = json.loads(answer.stdout)
            if account.get("ServerURL") in (None, "", address) and is_object(account["Secret"]):
                return json.loads(account["Secret"])
        except (ValueError, KeyError, TypeError, AttributeError):
            pass
        raise StoreError(action, "its answer is not this entry in JSON", "Sign out to remove it.")

    def _good(self, action, text):
        code = self._run(action, text).returncode
        if code != 0:
            raise StoreError(f"{action} by {self.command[0]}", f"it ended with {code}", "Run it in a terminal.")

    def _run(self, action, text):
        command = [*self.command, action]
        try:
            options = {"capture_output": True, "encoding": "utf-8", **self.options}
            return subprocess.run(command, input=text, **options)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            reason = type(error).__name__
            raise StoreError(f"{action} by {command[0]}", reason, "Run it in a terminal.") from None

    @contextlib.contextmanager
    def lock(self, key):
        """Holds the file lock that a refresh in a Deno kernel takes, too."""
        try:
            import fcntl
        except ImportError:
            raise StoreError("lock credentials", "this system has no fcntl", "Use Vault.") from None
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        name = f"helper.{short_hash(' '.join(self.command))}.{short_hash(key)[-2:]}.lock"
        path = os.path.join(self.folder, name)
        over = StoreError(f"lock {path}", "another notebook holds it", "Wait for it or end it.")
        for _ in pauses(self.lock_seconds, over):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not os.path.samestat(os.fstat(file), os.lstat(path)):
                    continue
                yield
                return
            except BlockingIOError:
                pass
            finally:
                os.close(file)


def is_absent(answer):
    return answer.returncode == 1 and answer.stdout.strip() == ABSENT


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


@functools.lru_cache(maxsize=None)
def store():
    """The store of the two variables. Opened at its first use, so that an error has a caller."""
    name = os.environ.get(BACKEND, "").strip()
    if name not in OPTIONS:
        remedy = f"Set {BACKEND} to vault or helper, or do not install validmind_store."
        raise StoreError("choose a store for Python", f'"{name}" is not one for both languages', remedy)
    try:
        options = json.loads(os.environ.get(KWARGS) or "{}")
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise StoreError(f"read {KWARGS}", "it is not one JSON object", "Correct it.")
    options = filled(options)
    check(name, options, OPTIONS[name])
    return {"vault": Vault, "helper": Helper}[name](**options)


if hasattr(os, "register_at_fork"):
    # Two processes with one holder's id would both hold its lock.
    os.register_at_fork(after_in_child=store.cache_clear)


class Requests:
    """The library's `requests`, whose last answer tells whether a grant is over."""

    def __init__(self, requests):
        self.requests = requests
        self.last = threading.local()

    def __getattr__(self, name):
        return getattr(self.requests, name)

    def post(self, *args, **options):
        self.last.answer = None
        self.last.answer = self.requests.post(*args, **{**options, "allow_redirects": False})
        return self.last.answer

    def says_over(self):
        """Whether the provider said that a refresh token will never work again."""
        try:
            return is_over(self.last.answer.status_code, self.last.answer.json())
        except (AttributeError, ValueError):
            return False


def is_over(status, said):
    """Whether an answer to a refresh ends the grant, by the rules of the Deno module."""
    if not isinstance(said, dict) or said.get("error") != "invalid_grant":
        return False
    if 300 <= status < 400 or status >= 500 or status in (408, 425, 429):
        return False
    words = str(said.get("error_description") or "")
    cause = said.get("suberror") or said.get("error_subtype")
    if cause in ("bad_token", "token_expired"):
        return not NOT_OVER.search(words)
    is_of_entra = isinstance(said.get("error_codes"), list) or re.search(r"\bAADSTS\d", words)
    return not cause and not is_of_entra and not NOT_OVER.search(words)


# Words beside `invalid_grant` about a pause, the API, the client or the account. The grant stays.
NOT_OVER = re.compile(
    r"rate.?limit|too many (requests|attempts)|too_many|throttl|quota|slow down|AADSTS50196\b"
    r"|\b(service|audience|resource principal)\b.{0,80}\bnot (found|enabled)"
    r"|no client with requested audience"
    r"|(device_code|device authorization|device flow|grant[ _]type|authorization grant).{0,80}"
    r"\bnot (allowed|enabled|supported|authorized|permitted)"
    r"|\bnot (allowed|enabled|authorized).{0,60}(device|grant|service account)|unauthorized grant type"
    r"|client authentication failed"
    r"|\b(user|account)\b.{0,40}\b(disabled|inactive|locked|blocked|suspended|restricted|not fully set up)"
    r"|(inactive|disabled) user",
    re.IGNORECASE,
)


# The library stores what a refresh gave once more, when the lock is free again.
REFRESHED = {}


def patch_store(module):
    key_of = module.credential_key

    def get(issuer, client_id, path=None, audience=None, **_):
        return store().get(key_of(issuer, client_id, audience))

    def upsert(issuer, client_id, entry, path=None, audience=None, **_):
        key = key_of(issuer, client_id, audience)
        if REFRESHED.get(key) != entry["access_token"]:
            with store().lock(key):
                store().put(key, {"issuer": issuer, "client_id": client_id, **entry})

    def delete(issuer, client_id, path=None, audience=None, **_):
        # The library's answer to every failed refresh, within its `except`.
        if not getattr(sys.exc_info()[1], "is_of_refresh", False):
            store().delete(key_of(issuer, client_id, audience))

    module.get_cached_entry = get
    module.upsert_cached_entry = upsert
    module.delete_cached_entry = delete


def patch_refresh(module):
    if isinstance(module.requests, Requests):
        return
    from validmind import credentials_store
    from validmind.errors import ValidMindAuthError

    module.requests = Requests(module.requests)
    refresh = module.try_refresh_cached_tokens

    def refresh_locked(key, issuer, client_id, refresh_token, scope, **more):
        entry = store().get(key)
        if entry is None:
            raise ValidMindAuthError("Somebody signed out. Run vm.init() again.")
        latest = entry.get("refresh_token") or refresh_token
        if latest != refresh_token and not credentials_store.is_expired(entry):
            return entry  # another kernel was first
        module.requests.last.answer = None
        try:
            new = refresh(issuer, client_id, latest, scope, **more)
        except ValidMindAuthError:
            if module.requests.says_over():
                store().end(key)
            raise
        # The Deno kernels have fields of their own, such as the scope.
        entry = {**entry, **new}
        store().put(key, entry)
        return entry

    def refresh_alone(issuer, client_id, refresh_token, scope, audience=None, **more):
        key = credentials_store.credential_key(issuer, client_id, audience)
        try:
            with store().lock(key):
                options = {"audience": audience, **more}
                entry = refresh_locked(key, issuer, client_id, refresh_token, scope, **options)
        except ValidMindAuthError as error:
            error.is_of_refresh = True
            raise
        REFRESHED[key] = entry["access_token"]
        return entry

    module.try_refresh_cached_tokens = refresh_alone


PATCHES = {"validmind.credentials_store": patch_store, "validmind.oidc_device": patch_refresh}


class Finder(importlib.abc.MetaPathFinder):
    """Changes two modules of the library when they are first imported."""

    def find_spec(self, name, path, target=None):
        patch = PATCHES.get(name)
        spec = patch and importlib.machinery.PathFinder.find_spec(name, path)
        if not spec:
            return None
        execute = spec.loader.exec_module

        def execute_and_patch(module):
            execute(module)
            patch(module)

        spec.loader.exec_module = execute_and_patch
        return spec


def install():
    """Puts the store in the place of the library's file. Nothing else of the library changes."""
    if os.environ.get(BACKEND, "").strip() == "file" and not os.environ.get(KWARGS, "").strip():
        return  # the library's own file
    for name, patch in PATCHES.items():
        if name in sys.modules:
            patch(sys.modules[name])
    if not any(isinstance(finder, Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, Finder())
