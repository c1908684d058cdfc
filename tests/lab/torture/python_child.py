"""Uses the real storage and refresh code of the ValidMind Python library.

    python_child.py put COUNT              writes and removes a row, and says what others did to it
    python_child.py refresh ISSUER CLIENT  starts from what is stored, and says the token's hash

The file is the one in HOME.
"""

import hashlib
import json
import random
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # nothing is written beside the sources
sys.path.insert(0, str(Path(__file__).parents[2] / "support"))

from validmind_library import ValidMindAuthError, credentials_store, obtain  # noqa: E402

LONGEST_PAUSE_SECONDS = 0.3


def put(count: str) -> None:
    """Every third time the row is removed. What another program does to it shows at the next time."""
    place = ("https://login.example.com", "python")
    lost = undone = 0
    for n in range(1, int(count) + 1):
        stored = credentials_store.get_cached_entry(*place)
        if n > 1 and (n - 1) % 3 == 0:
            undone += stored is not None
        elif n > 1:
            lost += stored is None or stored.get("n") != n - 1
        if n % 3 == 0:
            credentials_store.delete_cached_entry(*place)
        else:
            entry = {
                "access_token": f"fixture-access-{n}-{'x' * 1500}",
                "refresh_token": f"fixture-refresh-{n}",
                "expires_at": "2099-01-01T00:00:00+00:00",
                "n": n,
            }
            credentials_store.upsert_cached_entry(*place, entry)
        time.sleep(random.random() * LONGEST_PAUSE_SECONDS)
    print(json.dumps({"written": int(count), "lost": lost, "undone": undone}))


def refresh(issuer: str, client: str) -> None:
    try:
        entry = obtain(issuer, client)
        print(json.dumps({"token": hashlib.sha256(entry["access_token"].encode()).hexdigest()}))
    except ValidMindAuthError as error:
        print(json.dumps({"codes": [str(error)[:60]]}))


{"put": put, "refresh": refresh}[sys.argv[1]](*sys.argv[2:])
