"""A credential helper over files in FOLDER. One of FAULTS calls of `get` fails."""

import hashlib
import json
import os
import random
import sys

action, text = sys.argv[-1], sys.stdin.read()
if action == "get" and random.random() < float(os.environ.get("FAULTS", "0")):
    sys.exit("The store is locked.")
address = json.loads(text)["ServerURL"] if action == "store" else text.strip()
path = os.path.join(os.environ["FOLDER"], hashlib.sha256(address.encode()).hexdigest())
if action == "store":
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(file.name, path)
elif action == "erase" and os.path.exists(path):
    os.remove(path)
elif action == "get" and os.path.exists(path):
    with open(path, encoding="utf-8") as file:
        print(file.read())
elif action == "get":
    print("credentials not found in native keychain")
    sys.exit(1)
