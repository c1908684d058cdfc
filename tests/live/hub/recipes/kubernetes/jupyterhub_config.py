# jupyterhub_config.py with KubeSpawner and no chart: choose one of the stores in the last line.
ENVIRONMENT = {
    "VM_OIDC_ISSUER": "https://login.example.com",
    "VM_OIDC_CLIENT_ID": "my-client",
    "VM_API_HOST": "https://api.example.com/api/v1/tracking/",
}
# In each person's home, which has to be on a volume.
FILE = {}
# Nowhere but in the kernel, and each kernel asks anew.
MEMORY = {"VM_OIDC_NO_PERSIST": "1"}
# Where a program of the image keeps them. KubeSpawner fills in names in braces, so that a brace of
# JSON is doubled.
HELPER = {
    "VM_OIDC_DENO_CREDENTIALS_BACKEND": "helper",
    "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS": '{{"program": "/opt/bank/docker-credential-bank"}}',
}
# In Vault, with the service accounts, the volume and the hook of vault.yaml.
VAULT = {
    "VAULT_ADDR": "https://vault.example.com:8200",
    "VM_OIDC_DENO_CREDENTIALS_BACKEND": "vault",
    "VM_OIDC_DENO_CREDENTIALS_BACKEND_KWARGS": """{{
        "path": "users/notebook-{username}",
        "auth": {{
            "method": "kubernetes",
            "role": "notebooks",
            "jwtFile": "/var/run/secrets/vault/token"
        }}
    }}""",
}

c.KubeSpawner.environment = {**ENVIRONMENT, **FILE}
