# jupyterhub_config.py: people who signed in at the hub are not asked again in their notebooks.
# The hub itself has OAUTH_CLIENT_SECRET, and JUPYTERHUB_CRYPT_KEY (openssl rand -hex 32), in its
# environment, where people's servers do not see them.
import asyncio
import collections
import os
import pwd
import time

import jwt  # pip install oauthenticator "pyjwt[crypto]" beside the hub
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthLogoutHandler
from tornado.httpclient import HTTPClientError
from tornado.ioloop import PeriodicCallback

ISSUER = "https://login.example.com"
# A folder of the hub's own account, in memory. A person enters it, and reads one file.
TOKENS = "/run/jupyterhub-tokens"
# The hub checks the tokens at this interval. It renews a token that ends within three intervals.
SECONDS = 20


def ends_soon(token):
    """Keycloak's access tokens are JWTs."""
    claims = jwt.decode(token, options={"verify_signature": False})
    margin = min(3 * SECONDS, (claims["exp"] - claims["iat"]) / 2)
    return time.time() > claims["exp"] - margin


def remove(path):
    if os.path.exists(path):
        os.remove(path)


def is_kept(name, token):
    if ends_soon(token) or not os.path.exists(f"{TOKENS}/{name}"):
        return False
    with open(f"{TOKENS}/{name}", encoding="utf-8") as file:
        return file.read() == token


def write_token(name, token):
    person = pwd.getpwnam(name)
    os.makedirs(TOKENS, mode=0o711, exist_ok=True)
    new = f"{TOKENS}/.{name}"
    remove(new)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        os.fchown(file.fileno(), person.pw_uid, person.pw_gid)
        file.write(token)
    os.replace(new, f"{TOKENS}/{name}")


class SignOut(OAuthLogoutHandler):
    async def handle_logout(self):
        if self.current_user:
            await self.authenticator.forget(self.current_user)
        await super().handle_logout()


class SharedSignIn(GenericOAuthenticator):
    """Keeps each person's access token in a file of the person's while a server of theirs runs."""

    logout_handler = SignOut

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # One at a time: a refresh token that is used twice ends the sign-in at many providers.
        self.locks = collections.defaultdict(asyncio.Lock)
        PeriodicCallback(self.renew_all, SECONDS * 1000).start()

    async def renew_all(self):
        for user in list(self.parent.users.values()):
            state = await user.get_auth_state() if user.active else None
            # After a sign-out and a sign-in at the hub, the file has a former token, or none.
            if not state or is_kept(user.name, state["access_token"]):
                continue
            try:
                await self.refresh_user(user)
            except Exception as error:
                self.log.warning("No new token for %s: %s", user.name, type(error).__name__)

    async def refresh_user(self, user, handler=None, **kwargs):
        async with self.locks[user.name]:
            model = await super().refresh_user(user, handler, **kwargs)
            if not model:
                remove(f"{TOKENS}/{user.name}")
                return False
            await user.save_auth_state(model["auth_state"])
            if user.active:
                write_token(user.name, model["auth_state"]["access_token"])
            return model

    async def token_to_user(self, token_info):
        """A token that is about to end counts as ended."""
        if ends_soon(token_info["access_token"]):
            raise HTTPClientError(401, "it is about to end")
        return await super().token_to_user(token_info)

    async def forget(self, user):
        async with self.locks[user.name]:
            await user.save_auth_state(None)
            remove(f"{TOKENS}/{user.name}")


async def give_token(spawner):
    os.chmod(pwd.getpwnam(spawner.user.name).pw_dir, 0o700)  # useradd makes homes 0755
    await spawner.authenticator.refresh_user(spawner.user)


c.JupyterHub.authenticator_class = SharedSignIn
c.SharedSignIn.enable_auth_state = True
c.SharedSignIn.allow_all = True
c.SharedSignIn.client_id = "jupyterhub"
c.SharedSignIn.scope = ["openid"]
# The name of the person's account on the machine. People must not be able to change it.
c.SharedSignIn.username_claim = "preferred_username"
# As the provider's /.well-known/openid-configuration names them. This is Keycloak.
c.SharedSignIn.authorize_url = f"{ISSUER}/protocol/openid-connect/auth"
c.SharedSignIn.token_url = f"{ISSUER}/protocol/openid-connect/token"
c.SharedSignIn.userdata_url = f"{ISSUER}/protocol/openid-connect/userinfo"
c.Spawner.pre_spawn_hook = give_token
c.Spawner.post_stop_hook = lambda spawner: remove(f"{TOKENS}/{spawner.user.name}")
c.Spawner.environment = {
    "VM_OIDC_ISSUER": ISSUER,
    "VM_OIDC_CLIENT_ID": "notebooks",
    "VM_OIDC_FLOW": "token_exchange",
    "VM_OIDC_SCOPE": "openid",  # a notebook then says who is signed in
    "VM_OIDC_AUDIENCE": "api",  # the API's client at Keycloak
    "VM_OIDC_SUBJECT_TOKEN_FILE": lambda spawner: f"{TOKENS}/{spawner.user.name}",
    # The superuser's file, mode 0444: it proves the client, and is no secret among the hub's people.
    "VM_OIDC_CLIENT_SECRET_FILE": "/etc/jupyterhub/notebooks-client",
    "VM_API_HOST": "https://api.example.com/api/v1/tracking/",
}
