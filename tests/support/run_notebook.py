"""Runs the code cells of a notebook in the Deno kernel, one after the other.

Prints every message of the kernel as a line of JSON, with the number of the cell; a line
"interrupt" on standard input interrupts the kernel, as the button of a front end does.
"""

import json
import queue
import sys
import threading

from jupyter_client.manager import start_new_kernel


def tell(**message):
    print(json.dumps(message), flush=True)


def interrupt_on_demand(manager):
    for line in sys.stdin:
        if line.strip() == "interrupt":
            manager.interrupt_kernel()


def run(manager, client, number, code):
    request = client.execute(code)
    while True:
        try:
            message = client.get_iopub_msg(timeout=1)
        except queue.Empty:
            if not manager.is_alive():
                tell(cell=number, type="dead", content={})
                return False
            continue
        if message["parent_header"].get("msg_id") != request:
            continue
        content = message["content"]
        tell(cell=number, type=message["msg_type"], content=content)
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            return True


def main(path):
    with open(path, encoding="utf-8") as file:
        cells = [cell for cell in json.load(file)["cells"] if cell["cell_type"] == "code"]
    manager, client = start_new_kernel(kernel_name="deno")
    threading.Thread(target=interrupt_on_demand, args=[manager], daemon=True).start()
    try:
        for number, cell in enumerate(cells):
            if not run(manager, client, number, "".join(cell["source"])):
                break
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


main(sys.argv[1])
