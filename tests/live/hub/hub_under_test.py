"""What the tests add to a recipe: ports of this machine, its people, and a robot.

The recipe itself is loaded as it stands. The settings are in the file that HUB_SETTINGS names.
"""

import json
import os
import subprocess

from jupyterhub.spawner import LocalProcessSpawner

# The hub gives these two to each of its configuration files.
c = get_config()  # noqa: F821

with open(os.environ["HUB_SETTINGS"], encoding="utf-8") as file:
    settings = json.load(file)

load_subconfig(settings["recipe"])  # noqa: F821

# Only the addresses and places of the recipe are others here.
hook = c.Spawner.pre_spawn_hook
for name, place in settings.get("places", {}).items():
    for variable, value in c.Spawner.environment.items():
        if isinstance(value, str):
            c.Spawner.environment[variable] = value.replace(str(hook.__globals__[name]), str(place))
    hook.__globals__[name] = place
c.Spawner.environment.update(settings["environment"])
for section, values in settings.get("config", {}).items():
    c[section].update(values)

c.JupyterHub.bind_url = settings["url"]
c.JupyterHub.public_url = settings["url"]
c.JupyterHub.hub_bind_url = settings["hub_url"]
c.ConfigurableHTTPProxy.api_url = settings["routes_url"]
c.ConfigurableHTTPProxy.should_start = False

if settings["authenticator"] is not None:
    c.JupyterHub.authenticator_class = settings["authenticator"]
c.Authenticator.allowed_users = set(settings["users"])
c.PAMAuthenticator.open_sessions = False


class ServerProcess(LocalProcessSpawner):
    """Has a port that the system gives to nobody between its choice and its use."""

    async def start(self):
        self.port = settings["server_ports"][self.user.name]
        return await super().start()


c.JupyterHub.spawner_class = ServerProcess
# Else, whatever becomes of the hub, its people's servers end with it.
STAYS = settings["servers_stay"]
c.Spawner.cmd = [
    *([] if STAYS else ["setpriv", "--pdeathsig", "KILL", "--"]),
    *settings["server_command"],
]
# Not into the hub's own pipe, which would stay open as long as they run.
c.LocalProcessSpawner.popen_kwargs = {
    "stdout": os.open(settings["log"], os.O_WRONLY | os.O_APPEND),
    "stderr": subprocess.STDOUT,
}
c.Spawner.args = settings["server_args"]
c.Spawner.default_url = "/lab"
c.Spawner.poll_interval = 2  # seconds, until a server that ended by itself is noticed
# On a busy machine a server takes longer to start than the hub's own limits.
c.Spawner.start_timeout = c.Spawner.http_timeout = settings["start_seconds"]

c.JupyterHub.services = [{"name": "robot", "api_token": settings["robot"]}]
c.JupyterHub.load_roles = [
    {
        "name": "robot",
        "services": ["robot"],
        "scopes": ["admin:users", "admin:servers", "tokens", "access:servers"],
    }
]
