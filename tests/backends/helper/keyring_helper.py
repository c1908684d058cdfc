#!/usr/bin/env python3
"""A credential helper over Python's keyring: get, store, erase and list as docker's helpers have them.

It keeps the list of its own entries in one more entry, since keyring cannot list.
"""
import fcntl
import json
import os
import sys

import keyring

SERVICE = "validmind-auth-helper"


def main(action: str, text: str) -> int:
    lock = os.open(os.path.expanduser("~/.validmind-auth-helper.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # until this process ends: keyring has no lock
    url = json.loads(text)["ServerURL"] if action == "store" else text.strip()
    if action == "get":
        found = keyring.get_password(SERVICE, url)
        print(found or "credentials not found in native keychain")
        return 0 if found else 1
    known = json.loads(keyring.get_password(SERVICE, "list") or "{}")
    if action == "store":
        known[url] = json.loads(text)["Username"]
        keyring.set_password(SERVICE, "list", json.dumps(known))  # first: after a kill it can be erased
        keyring.set_password(SERVICE, url, text)
        return 0
    if action == "erase" and url in known:
        if keyring.get_password(SERVICE, url):
            keyring.delete_password(SERVICE, url)
        del known[url]
    elif action == "list":
        print(json.dumps(known))
        return 0
    keyring.set_password(SERVICE, "list", json.dumps(known))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1], sys.stdin.read()))
