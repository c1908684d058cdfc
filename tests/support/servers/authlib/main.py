"""Serves OpenID Providers on Authlib and Flask, for the tests of this project.

It prints the address of its control when it is ready, and ends on SIGTERM. Over the control a test
makes providers, each with a port and clients of its own, and changes them:

    POST /providers          {"issuer": "http://…", "clientKey": {public JWK}} → {"port": 1234}
    POST /providers/1234/ACTION, see provider.change
    DELETE /providers/1234
"""

import logging
import threading
from datetime import datetime, timedelta, timezone

from flask import Flask, Response, request
from werkzeug.serving import WSGIRequestHandler, make_server

from provider import change, make_app
from store import Settings, Store


class QuietHandler(WSGIRequestHandler):
    """Logs nothing, and leaves the Date header out where the test wants that."""

    store: Store | None = None

    def send_header(self, keyword, value):
        settings = self.store.settings if self.store else Settings()
        if keyword.lower() == "date":
            if not settings.date:
                return
            if settings.has("local_date"):  # the time of a clock in another zone, as str() writes it
                value = str(datetime.now(timezone(timedelta(hours=9))).replace(tzinfo=None))
        super().send_header(keyword, value)

    def log(self, *_):
        pass


def serve(app: Flask, handler: type[WSGIRequestHandler] = QuietHandler):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


def make_control() -> Flask:
    control = Flask("control")
    running = {}

    @control.post("/providers")
    def start():
        asked = request.get_json(force=True)
        store = Store(asked.get("clientKey"))
        app = make_app(store, asked["issuer"])
        server = serve(app, type("Handler", (QuietHandler,), {"store": store}))
        running[server.server_port] = (server, store)
        return {"port": server.server_port}

    @control.post("/providers/<int:port>/<action>")
    def act(port, action):
        return change(running[port][1], action, request.get_json(force=True, silent=True) or {})

    @control.delete("/providers/<int:port>")
    def stop(port):
        server, _ = running.pop(port)
        server.shutdown()
        server.server_close()
        return Response("null", mimetype="application/json")

    return control


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    print(f"http://127.0.0.1:{serve(make_control()).server_port}", flush=True)
    threading.Event().wait()
