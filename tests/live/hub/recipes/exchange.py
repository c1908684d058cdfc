# jupyterhub_config.py: people who signed in at the hub are not asked again in their notebooks.
# The hub itself has OAUTH_CLIENT_SECRET, and JUPYTERHUB_CRYPT_KEY (openssl rand -hex 32), in its
# environment, where people's servers do not see them.
import asyncio
import collections
import concurrent.futures
import grp
import os
import pwd
import threading
import time

import jwt  # pip install oauthenticator "pyjwt[crypto]" beside the hub
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLogoutHandler
from tornado.httpclient import HTTPClientError
from tornado.ioloop import PeriodicCallback

ISSUER = "https://login.example.com"
# A folder of the superuser's, in memory. A person enters it, and reads one file.
TOKENS = "/run/jupyterhub-tokens"
# The hub checks the tokens at this interval. It renews a token that ends within three intervals.
SECONDS = 20
# The longest time for one question to the provider, or to the machine's accounts.
LIMIT = 10
LONGEST_TOKEN = 64 * 1024


def seconds_left(token):
    """Until the end, and the rest at which it is renewed. Keycloak's access tokens are JWTs."""
    claims = jwt.decode(token, options={"verify_signature": False})
    margin = min(3 * SECONDS, (claims["exp"] - claims["iat"]) / 2)
    return claims["exp"] - time.time(), margin


def ends_soon(token):
    left, margin = seconds_left(token)
    return left < margin


async def apart(work, *args):
    """Does a thing in a thread of its own, which nobody else waits for."""
    future = concurrent.futures.Future()

    def run():
        try:
            future.set_result(work(*args))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(future)), LIMIT)


def close_home(name):
    os.chmod(pwd.getpwnam(name).pw_dir, 0o700)  # useradd makes homes 0755


def group_of(name):
    """The group that has this person alone as a member."""
    group = grp.getgrgid(pwd.getpwnam(name).pw_gid)
    others = [one.pw_name for one in pwd.getpwall() if one.pw_gid == group.gr_gid] + group.gr_mem
    if set(others) != {name}:
        raise PermissionError(f"others are in the group {group.gr_name}, too")
    return group.gr_gid


def place_of(name):
    return f"{TOKENS}/{name}"


def remove(path):
    if os.path.lexists(path):
        os.remove(path)


def write_token(name, group, token):
    """Replaces the file whole. The person cannot change it, and so cannot make the hub wait."""
    new = f"{TOKENS}/.{name}"
    remove(new)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), "w") as file:
        file.write(token)
        os.fchown(file.fileno(), 0, group)
        os.fchmod(file.fileno(), 0o440)
    os.replace(new, place_of(name))


class SignOut(OAuthLogoutHandler):
    async def handle_logout(self):
        if self.current_user:
            await self.authenticator.forget(self.current_user)
        await super().handle_logout()


class SignIn(OAuthCallbackHandler):
    async def login_user(self, data=None):
        user = await super().login_user(data)
        if user:
            await self.authenticator.renew(user)  # it shows at once
        return user


class SharedSignIn(GenericOAuthenticator):
    """Keeps each person's access token in a file that this person reads while a server runs."""

    callback_handler = SignIn
    logout_handler = SignOut

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        os.makedirs(TOKENS, mode=0o711, exist_ok=True)
        # One at a time: a refresh token that is used twice ends the sign-in at many providers.
        self.locks = collections.defaultdict(asyncio.Lock)
        self.shown = {}  # the hub opens no file to read it
        self.ended = set()
        PeriodicCallback(self.renew_all, SECONDS * 1000).start()

    def renew_all(self):
        active = {user.name: user for user in list(self.parent.users.values()) if user.active}
        for name in os.listdir(TOKENS):
            if name.lstrip(".") not in active:  # such as a person who was deleted
                self.hide(name)
        for user in active.values():
            if not self.locks[user.name].locked():
                asyncio.ensure_future(self.renew(user))

    async def renew(self, user):
        """Stands alone: no other person waits for it, and its errors end it only."""
        try:
            state = await user.get_auth_state()
            token = state and state["access_token"]
            is_shown = token == self.shown.get(user.name) and os.path.exists(place_of(user.name))
            if not is_shown or token and ends_soon(token):
                await self.refresh_user(user)
        except Exception as error:
            self.log.warning("No new token for %s: %s", user.name, type(error).__name__)

    async def refresh_user(self, user, handler=None, **kwargs):
        async with self.locks[user.name]:
            before = user.encrypted_auth_state
            state = await user.get_auth_state()
            is_over = not state or state.get("refresh_token") in self.ended
            model = False if is_over else await self.ask_provider(user, handler, **kwargs)
            if user.encrypted_auth_state != before:
                return True  # the person has signed in at the hub meanwhile
            if model:
                state = model["auth_state"]
                await user.save_auth_state(state)
            is_over = not state or state.get("refresh_token") in self.ended
            # At an outage a token stays until its end.
            is_live = not is_over and seconds_left(state["access_token"])[0] > 0
            if is_live and user.active:
                await self.show(user.name, state["access_token"])
            else:
                self.hide(user.name)
            return model or is_live

    async def ask_provider(self, user, handler, **kwargs):
        try:
            return await super().refresh_user(user, handler, **kwargs)
        except Exception as error:
            self.log.warning("No answer about %s: %s", user.name, type(error).__name__)
            return False

    async def get_token_info(self, handler, params):
        try:
            return await super().get_token_info(handler, params)
        except HTTPClientError as error:
            if error.response and b'"invalid_grant"' in (error.response.body or b""):
                self.ended.add(params.get("refresh_token"))
            raise

    async def token_to_user(self, token_info):
        """A token that is about to end counts as ended."""
        if ends_soon(token_info["access_token"]):
            raise HTTPClientError(401, "it is about to end")
        return await super().token_to_user(token_info)

    async def show(self, name, token):
        if self.shown.get(name) == token and os.path.exists(place_of(name)):
            return
        try:
            if len(token) > LONGEST_TOKEN:
                raise ValueError("the token is too long")
            write_token(name, await apart(group_of, name), token)
            self.shown[name] = token
        except Exception as error:  # such as an account without a group of its own
            self.log.warning("No token for %s: %s", name, str(error) or type(error).__name__)
            self.hide(name)

    def hide(self, name):
        self.shown.pop(name, None)
        remove(place_of(name))

    async def forget(self, user):
        self.hide(user.name)
        async with self.locks[user.name]:
            await user.save_auth_state(None)
            self.hide(user.name)


async def give_token(spawner):
    await apart(close_home, spawner.user.name)
    await spawner.authenticator.refresh_user(spawner.user)


c.JupyterHub.authenticator_class = SharedSignIn
c.SharedSignIn.enable_auth_state = True
c.SharedSignIn.allow_all = True
c.SharedSignIn.http_request_kwargs = {"connect_timeout": LIMIT, "request_timeout": LIMIT}
c.SharedSignIn.client_id = "jupyterhub"
c.SharedSignIn.scope = ["openid"]
# The name of the person's account on the machine. People must not be able to change it.
c.SharedSignIn.username_claim = "preferred_username"
# As the provider's /.well-known/openid-configuration names them. This is Keycloak.
c.SharedSignIn.authorize_url = f"{ISSUER}/protocol/openid-connect/auth"
c.SharedSignIn.token_url = f"{ISSUER}/protocol/openid-connect/token"
c.SharedSignIn.userdata_url = f"{ISSUER}/protocol/openid-connect/userinfo"
c.Spawner.pre_spawn_hook = give_token
c.Spawner.post_stop_hook = lambda spawner: spawner.authenticator.hide(spawner.user.name)
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
