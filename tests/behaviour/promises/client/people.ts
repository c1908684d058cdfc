import { NOT_SHOWN, type PagePromises } from "../page_promises.ts";

const QUICKSTART = "notebooks/quickstart_test.ts: quickstart.ipynb";
const LAB = "notebooks/jupyterlab_live_test.ts:";
const STORED = "client/prompt/stored_sign_in_test.ts:";
const PROMPT = "client/prompt/open_prompt_test.ts: prompt in a";
const PAGE = "client/prompt/notebook_prompt_test.ts: prompt in a notebook:";
const CELLS = "notebooks/browser_flow_test.ts:";
const BROWSER = "client/sign_in/browser_test.ts: browser flow:";
const ATTACK = "client/sign_in/browser_attacks_test.ts: browser attack:";
const LISTENER = "client/sign_in/redirect_listener_test.ts: redirect listener:";
const INSTEAD = "behaviour/sign_in/browser_instead_test.ts: browser instead:";
const PASTE = "client/prompt/paste_test.ts: paste:";
const REDIRECT = "client/options/browser_options_test.ts: browser options: …";

/** Notebooks, terminals and logs, and the sign-in in the browser. */
export const PEOPLE: PagePromises = {
  promises: [
    [
      "In the end the cell's output says",
      `${QUICKSTART} shows the answer, the session and the sign-out`,
      `${PAGE} no link, code, picture or style sheet is left after the end`,
    ],
    [
      "A cell that finds a stored sign-in",
      `${STORED} a notebook that finds a stored sign-in says who is signed in, and until when`,
      `${STORED} a notebook says nothing of a stored sign-in where …`,
    ],
    [
      "Interrupting the kernel",
      "notebooks/quickstart_test.ts: an interrupt of the kernel ends the wait, and the kernel goes on",
    ],
    [
      "A page that is reloaded during",
      `${LAB} a reloaded page goes on counting, and says how to see the result`,
    ],
    [
      "The sign-in goes on, and a prompt",
      `${LAB} JupyterLab: a person signs in, reloads in between, and runs the cell again`,
      "notebooks/countdown_test.ts: the prompt of a notebook counts to its real end, whenever",
    ],
    [
      "Run the cell again after the approval",
      `${LAB} the cell that is run again says who is signed in`,
    ],
    [
      "A prompt that is opened later",
      `${LAB} JupyterLab: a notebook that is opened a day later says that the code has expired`,
    ],
    [
      "Where no script runs",
      `${PAGE} without scripts it tells the end by the clock, with the zone`,
    ],
    [
      "A later cell, or a module",
      "client/init_test.ts: getSession: the session of the last init",
    ],
    [
      "No token appears in a cell's output",
      `${QUICKSTART} runs in a Deno kernel as a person has it, and keeps no token`,
      ...NOT_SHOWN,
    ],
    [
      "The link, the code and in a terminal a QR code",
      `${PROMPT} log: plain lines on standard error, without any permission`,
      `${PROMPT} terminal: a code to scan, and a line that is written over`,
    ],
    [
      "In a log there are plain lines",
      `${PROMPT} log: plain lines on standard error, without any permission`,
      `${PROMPT} terminal: NO_COLOR leaves no escape code`,
    ],
    [
      "Ctrl-C ends the wait",
      `${PROMPT} terminal: Ctrl-C ends the process at once, by the signal`,
      "client/cli/commands/login_test.ts: login: --force asks again, and replaces the entry only once",
    ],
    [
      "`onEvent` receives each step",
      "behaviour/sign_in/events_test.ts: events: a sign-in, from its start to the store",
      `${BROWSER} its events name times and kinds alone`,
    ],
    [
      'With `flow: "browser"` (`VM_OIDC_FLOW`',
      `${BROWSER} a person signs in, and the browser says so, at a real provider`,
      "client/options/resolve_options_test.ts: resolveOptions: flow …, variable",
      `${INSTEAD} login --flow browser takes a pasted address and flags for the page`,
    ],
    [
      "PKCE with S256",
      `${BROWSER} the request has PKCE, state, nonce, scope, audience and the login hint`,
      `${ATTACK} the state of an earlier sign-in changes nothing`,
      `${ATTACK} an ID token whose nonce is … is refused`,
      `${ATTACK} an answer without the issuer is refused where the provider sends it`,
      `${ATTACK} the code of another sign-in, handed in …, gets no token`,
    ],
    [
      "`auto` takes it where",
      `${INSTEAD} auto signs in where the provider offers no device flow`,
      `${INSTEAD} auto shows the link where … refuses this client`,
    ],
    [
      "In a terminal the browser opens by itself",
      `${PASTE} the browser opens by itself in a terminal, and not with openBrowser: false`,
    ],
    ["The link waits for five minutes", `${BROWSER} five minutes without an answer end it`],
    [
      "Copy that page's whole address",
      `${PASTE} the address of a browser on another machine signs in, and shows nowhere`,
    ],
    [
      "It is not shown, and it is spent",
      `${PASTE} the address of a browser on another machine signs in, and shows nowhere`,
      `${BROWSER} an address from another machine is handed in, and is spent then`,
    ],
    [
      "A job in the background (`&`)",
      `${PASTE} a job in the background is not stopped, and the browser on this machine`,
    ],
    [
      "Where jupyter-server-proxy leads",
      `${CELLS} the notebook's form hands in the address through the server's proxy`,
      "notebooks/server_proxy_live_test.ts: jupyter-server-proxy: the form in a real kernel's output",
    ],
    [
      "Everywhere else use two cells",
      `${CELLS} a sign-in in two cells: one shows the link and returns`,
      `${CELLS} without a proxy the notebook's form stays hidden, and the two cells are named`,
    ],
    [
      "In a program of your own `onAuthorizationUrl",
      "behaviour/sign_in/announce_test.ts: announce: a prompt of the caller's replaces every word",
      `${BROWSER} an address from another machine is handed in, and is spent then`,
    ],
    [
      "Behind a proxy give the registered",
      `${LISTENER} behind a proxy it answers the proxy's name`,
    ],
    ['`redirectUri: "https://proxy', REDIRECT],
    ["`{port}` stands for the port", REDIRECT, `${LISTENER} a port that is taken is an error`],
    [
      "On a JupyterHub whose public address",
      REDIRECT,
      "notebooks/server_proxy_live_test.ts: jupyter-server-proxy: a whole sign-in comes back",
    ],
    [
      "The listener is bound to loopback",
      "client/sign_in/browser_start_test.ts: browser start: before there is a link it leads nowhere",
      `${LISTENER} localhost is listened for at both kinds of address`,
      `${LISTENER} … is refused before any work`,
    ],
    [
      "It answers one path",
      `${LISTENER} … is not the answer`,
      `${ATTACK} … changes nothing`,
    ],
    [
      "On the command line each is a `--parameter",
      `${INSTEAD} login --flow browser takes a pasted address and flags for the page`,
      "client/cli/parse_command_line_test.ts: parse: a flag that may be repeated keeps all",
    ],
  ],
  describes: [
    "That and the countdown need the script",
    "A Deno kernel runs with every permission",
    'For Deno KV put `{ "unstable":',
    '["kv"] }` into a `deno.json` beside the notebook',
    "Many organisations forbid the device flow",
    "From a browser on another machine",
    "In a notebook on another machine",
    "The kernel's input box is not used",
    "In a log:",
    "The redirect URI has to be registered",
    // Of the providers, from their documentation.
    "The following is from the providers' documentation",
    'Microsoft Entra | platform "Mobile',
    'Google | client of the type "Desktop app"',
    "Okta | `http://127.0.0.1:8000/callback`",
    "Auth0 | `http://127.0.0.1:8000/callback`",
    "Keycloak | `http://127.0.0.1/callback`",
    "Cognito | the exact address",
    "For a refresh token some providers want",
  ],
};
