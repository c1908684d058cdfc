# jupyterhub_config.py: tokens are only in the kernel, and each kernel asks again.
c.Spawner.environment = {
    "VM_OIDC_ISSUER": "https://login.example.com",
    "VM_OIDC_CLIENT_ID": "my-client",
    "VM_API_HOST": "https://api.example.com/api/v1/tracking/",
    "VM_OIDC_NO_PERSIST": "1",
}
