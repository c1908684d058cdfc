import type { PagePromises } from "../page_promises.ts";

const COMMAND = "client/cli/commands/jupyter_test.ts: jupyter install";
const KERNEL = "client/cli/commands/jupyter_test.ts: jupyter kernel:";
const NARROW = "notebooks/narrow_kernel_test.ts: a narrow kernel";
const RULES = "client/cli/jupyter/rules_test.ts: rules:";
const POLICY = "client/cli/jupyter/policy_test.ts: policy:";
const BROKER = "client/cli/jupyter/broker_test.ts: broker:";
const DENIES = `${NARROW} denies the rest by name, and goes on`;

/** The kernels that the command line installs for Jupyter. */
export const KERNELS: PagePromises = {
  promises: [
    [
      "`validmind-auth jupyter install` writes",
      `${COMMAND}: writes the kernel of this Deno`,
      `${COMMAND}: looks for the folder where Jupyter does`,
    ],
    ["`--dry-run` shows it", `${COMMAND}: looks for the folder where Jupyter does`],
    ["`--env` is for this kernel alone", `${COMMAND}: writes the kernel of this Deno`],
    ["It ends with its server", `${COMMAND}: writes the kernel of this Deno`],
    ["With `--narrow` (not on Windows)", DENIES],
    ["It gets what the kernel itself needs", `${NARROW} runs quickstart.ipynb`, DENIES],
    ["The names are those of a permission set", `${POLICY} … is refused, never half read`],
    ["A relative path is meant", `${RULES} a path is that of its target`],
    [
      "The file and each folder above it",
      `${POLICY} a file that somebody else can change or replace is refused`,
      `${RULES} nobody can grant writing a file that decides`,
    ],
    ["What is denied is `NotCapable`", DENIES],
    ["`--audit FILE` logs each question", `${NARROW} runs quickstart.ipynb`],
    [
      "A log that others can read",
      "client/cli/commands/jupyter_test.ts: jupyter: a log that others can read, a link, and one",
    ],
    ["The hosts of the provider and the API", `${NARROW} runs quickstart.ipynb`],
    ["Modules of JSR may be imported", `${NARROW} runs quickstart.ipynb`],
    ["Other addresses need `import`", DENIES],
    ["Deno asks the broker when", `${BROKER} Deno obeys it whatever its flags say`],
    [
      "When the broker ends, the kernel does",
      `${KERNEL} when the broker is killed, the kernel ends`,
    ],
    [
      "`requiredPermissions({ discover: true })` lists it",
      "client/required_permissions_test.ts: requiredPermissions: discover",
    ],
  ],
  describes: [
    "The certificate variables of the hub",
    "`deno jupyter` takes no permission flag",
    'Name it under "net"',
    "A provider whose endpoints are on other hosts",
    "`Deno.permissions.query()` says",
    "A question takes about 0.1 ms",
    "A cell takes as long as without",
    "[What it does not hold]",
    "`await session.dropPermissions({ all: true })`",
  ],
};
