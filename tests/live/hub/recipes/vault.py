# jupyterhub_config.py: tokens are in Vault. The hub tells Vault the name of the person.
import os
import pwd
import time

import jwt  # pip install "pyjwt[crypto]" beside the hub

# The private half of the key in Vault's auth/jwt/config. Only the hub's own account reads it.
KEY = "/etc/jupyterhub/vault-login.pem"
# A folder of the hub's own account. In a home, the person could put a link in the file's place.
LOGINS = "/run/jupyterhub-vault"
# The longest time that a server may run. Each start of a server makes a new token.
SECONDS = 24 * 3600

c.Spawner.environment = {
    "VM_OIDC_ISSUER": "https://login.example.com",
    "VM_OIDC_CLIENT_ID": "my-client",
    "VM_API_HOST": "https://api.example.com/api/v1/tracking/",
    "VAULT_ADDR": "https://vault.example.com:8200",
    "VM_OIDC_DENO_CREDENTIALS_BACKEND": "vault",
    "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS": """{
        "path": "users/${JUPYTERHUB_USER}",
        "auth": {
            "method": "jwt",
            "role": "notebooks",
            "jwtFile": "/run/jupyterhub-vault/${JUPYTERHUB_USER}"
        }
    }""",
}


def introduce_to_vault(spawner):
    """Signs the person's name, into a file that only this person can read."""
    person = pwd.getpwnam(spawner.user.name)
    now = int(time.time())
    claims = {"sub": spawner.user.name, "aud": "vault", "iat": now, "exp": now + SECONDS}
    with open(KEY, encoding="utf-8") as key:
        token = jwt.encode(claims, key.read(), algorithm="RS256")
    os.makedirs(LOGINS, mode=0o711, exist_ok=True)
    file = f"{LOGINS}/{spawner.user.name}"
    if os.path.exists(file):
        os.remove(file)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as login:
        os.fchown(login.fileno(), person.pw_uid, person.pw_gid)
        login.write(token)
    os.chmod(person.pw_dir, 0o700)  # useradd makes homes that everybody may read


c.Spawner.pre_spawn_hook = introduce_to_vault
