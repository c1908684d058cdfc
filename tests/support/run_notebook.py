"""Runs the code cells of a notebook in the Deno kernel, one after the other.

Prints every message of the kernel as a line of JSON, with the number of its cell, and "ended" after
the last cell. Goes on reading then: Deno 2.9 may send a cell's result after it has said that the
cell is done. A line "interrupt" on standard input interrupts the kernel, as the button of a front
end does; its end ends the kernel, whatever a cell is doing.
"""

import json
import os
import queue
import subprocess
import sys
import threading

from jupyter_client.manager import start_new_kernel


def tell(**message):
    print(json.dumps(message), flush=True)


def obey(manager):
    for line in sys.stdin:
        if line.strip() == "interrupt":
            manager.interrupt_kernel()
    manager.shutdown_kernel(now=True)
    os._exit(0)


def is_idle(message):
    content = message["content"]
    return message["msg_type"] == "status" and content["execution_state"] == "idle"


def run(manager, client, cells):
    requests = [client.execute(cells[0])]
    while True:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            if manager.is_alive():
                continue
            tell(cell=len(requests) - 1, type="dead", content={})
            return
        parent = message["parent_header"].get("msg_id")
        if parent not in requests:
            continue
        tell(cell=requests.index(parent), type=message["msg_type"], content=message["content"])
        if parent != requests[-1] or not is_idle(message):
            continue
        if len(requests) < len(cells):
            requests.append(client.execute(cells[len(requests)]))
        else:
            tell(cell=len(cells) - 1, type="ended", content={})


def main(path):
    with open(path, encoding="utf-8") as file:
        cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
    manager, client = start_new_kernel(kernel_name="deno", stdout=subprocess.DEVNULL)
    threading.Thread(target=obey, args=[manager], daemon=True).start()
    run(manager, client, ["".join(cell["source"]) for cell in cells])


main(sys.argv[1])
