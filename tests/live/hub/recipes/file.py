# jupyterhub_config.py: each person's tokens are in a file in the person's home.
import os
import pwd

c.Spawner.environment = {
    "VM_OIDC_ISSUER": "https://login.example.com",
    "VM_OIDC_CLIENT_ID": "my-client",
    "VM_API_HOST": "https://api.example.com/api/v1/tracking/",
    # Ports for a sign-in in the browser, tried in turn: people on one machine share them.
    "VM_OIDC_LISTEN": "127.0.0.1:8765,8766,8767,8768",
}
# The hub hands these to kernels only if they are named: its certificate authority and its proxy.
c.Spawner.env_keep.extend(
    ["DENO_TLS_CA_STORE", "DENO_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"]
)


def close_home(spawner):
    """useradd makes homes that everybody may read, with the notebooks and their outputs in them."""
    os.chmod(pwd.getpwnam(spawner.user.name).pw_dir, 0o700)


c.Spawner.pre_spawn_hook = close_home
