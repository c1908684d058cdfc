import { SETTINGS } from "../options/declaration.ts";
import { CONFIG_VARIABLE, USUAL_SETTINGS } from "../options/settings_path.ts";
import { type Command, PROGRAM } from "./command.ts";
import { BEARER_FLAGS, IDENTITY_FLAGS, OPTION_FLAGS, SIGN_IN_FLAGS, STORE_FLAGS } from "./flags.ts";

/** All commands. Parsing, help, completions and the reference are made from this table. */
export const COMMANDS: readonly Command[] = [
  {
    name: "login",
    summary: "sign in, and keep the tokens",
    details: `
      Shows a link and a code on standard error, and waits for the approval. --flow browser
      opens the browser, which comes back to this computer. If the browser is on another
      machine, paste the address of its last page.

      login ADDRESS asks the API at that address how to sign in to it (RFC 9728), shows
      that, and keeps it in the settings once you have confirmed the issuer, at the question
      or by --issuer. --scope takes the place of the scopes that the API names.

      A stored sign-in that is still good is kept, unless --parameter has what an API
      demands: acr_values, max_age, claims or scope. Then the new sign-in has to be the same
      person's, and to meet the demand. To sign in as somebody else, run logout first.
      VM_OIDC_INTERACTIVE=0 and CI do not count here: a person runs this command.

      --flow client_credentials asks nobody: the client gets a token for itself. --flow
      token_exchange gets a token for the person of another token.`,
    flags: [...OPTION_FLAGS.filter((name) => name !== "api-host"), "no-open", "json"],
    args: "[ADDRESS]",
    examples: `
      login
      login https://api.example.com/v1/ --client-id my-client
      login --flow browser --login-hint ada@example.com --parameter prompt=login
      login --flow client_credentials`,
    action: "sign in",
    load: () => import("./commands/login.ts"),
  },
  {
    name: "status",
    summary: "show the account, the expiry of the token, and the store",
    details: `
      Reads the store only: nothing is refreshed, and nobody is asked. Exit code 4 means
      that the next use needs a person. config list shows which flag, variable or file
      decides.`,
    flags: [...SIGN_IN_FLAGS, "json"],
    examples: `
      status
      status --json | jq -r .expires_at
      status > /dev/null || echo sign in first`,
    action: "show the status",
    load: () => import("./commands/status.ts"),
  },
  {
    name: "list",
    summary: "list all sign-ins with provider, client, profile and expiry",
    details: `
      Reads the store only, and needs neither issuer nor client. An entry that cannot be
      read is shown with the reason, and makes the exit code 1. --profile names the settings
      that name the store.`,
    flags: ["profile", ...STORE_FLAGS, "json"],
    examples: `
      list
      list --json | jq -r '.sign_ins[].issuer'`,
    action: "list the sign-ins",
    load: () => import("./commands/list.ts"),
  },
  {
    name: "token",
    summary: "print the bearer token, refreshed if needed",
    details: `
      Prints only the token and a line end to standard output. Without a sign-in it fails
      with exit code 4. With --login it asks the person. --json is the same as --format
      json, and prints { token, token_type, expires_at, expires_in }.

      --format exec-credential is for kubectl (client.authentication.k8s.io/v1). --format
      git is for a credential helper of git, with the user name oauth2.

      To run a program with the token, use exec: in a pipe the program also runs where token
      has failed.`,
    flags: [...BEARER_FLAGS, "format", "json"],
    examples: `
      token --json | jq -r .expires_at
      token --format exec-credential`,
    action: "print a token",
    load: () => import("./commands/token.ts"),
  },
  {
    name: "exec",
    summary: "run a program with a fresh token in its environment",
    details: `
      The program finds the token in VM_ACCESS_TOKEN, or in the variable that --variable
      names, and never among its arguments. It has the standard streams of exec, and gets
      the signals that exec gets. The token is not refreshed while the program runs.

      The exit code is that of the program. 126 and 127 mean that it could not be started.
      Without a sign-in the program is not started, and the exit code is 4. Nor is it where
      PATH, in which it is looked for, has a relative folder.`,
    args: "[--] PROGRAM [ARGUMENT]…",
    isRest: true,
    flags: [...BEARER_FLAGS, "variable"],
    examples: `
      exec -- python3 report.py
      exec -- sh -c 'printf "Authorization: Bearer %s" "$VM_ACCESS_TOKEN" | curl -H @- URL'`,
    action: "run the program",
    load: () => import("./commands/exec.ts"),
  },
  {
    name: "api",
    summary: "call the API with the token, and print its answer",
    details: `
      PATH is below --api-host, with a leading slash or without. The token goes to the API's
      origin only. The answer is printed unchanged; JSON gets a line end. A status other
      than 2xx makes the exit code 1.

      Fields are the members of a JSON body, and make the method POST. With --method GET or
      --input they go into the query. --raw-field sends a text. --field sends JSON, such as
      7, true or null, and any other value as a text. @FILE sends the text of a file.`,
    args: "PATH",
    flags: [
      ...BEARER_FLAGS.filter((name) => name !== "refresh"),
      "dpop",
      "api-host",
      "method",
      "field",
      "raw-field",
      "input",
      "header",
    ],
    examples: `
      api ping
      api things -f name=report -F size=7
      api things/7 -X PUT --input thing.json
      api things -X GET -f owner=ada`,
    action: "call the API",
    load: () => import("./commands/api.ts"),
  },
  {
    name: "logout",
    summary: "remove the stored tokens",
    details: `
      The entry is removed here even if the network fails. With --revoke, exit code 1 means
      that the provider did not revoke the tokens, which may stay valid until they end. If
      nobody was signed in, the exit code is 0.

      --all removes every entry without a question, also those of other people who share the
      store. Only --all deletes a store that cannot be read.`,
    flags: [...IDENTITY_FLAGS, ...STORE_FLAGS, "revoke", "all", "json"],
    examples: `
      logout
      logout --revoke
      logout --all`,
    action: "sign out",
    load: () => import("./commands/logout.ts"),
  },
  {
    name: "migrate",
    summary: "copy or move all entries from one backend to another",
    details: `
      One of --from and --to may be left out. It is then the backend that the environment or
      the settings file names. Each copy is read back before it counts. An interrupted run
      can be repeated.

      Without --delete-source a refresh token is in two places. The first refresh of one may
      end the other.`,
    flags: [
      "profile",
      "config",
      "from",
      "from-options",
      "to",
      "to-options",
      "delete-source",
      "json",
    ],
    examples: `
      migrate --from file --to kv --to-options kv.json --delete-source`,
    action: "migrate credentials",
    load: () => import("./commands/migrate.ts"),
  },
  {
    name: "doctor",
    summary: "find the cause of a failed sign-in or call",
    details: `
      Signs in as login does, and stops before the person. Each line is ok, warning, fail or
      not tried, with the remedy. A fail makes the exit code 1. With exit code 0 nothing was
      found wrong. A check that needs one that failed is left out.

      The provider gives a device code that nobody sees, or a token that is dropped. The API
      gets the stored token. An assertion that serves once is not sent, and the stored
      refresh token only with --refresh.

      A test entry is written to the store under its own key, and removed. A missing store
      is created, empty. Nothing else is changed without --refresh.`,
    flags: [...OPTION_FLAGS, "refresh", "json"],
    examples: `
      doctor
      doctor --refresh --api-host https://api.example.com/v1/
      doctor --json | jq '.checks[] | select(.result == "fail")'`,
    action: "examine the sign-in",
    load: () => import("./commands/doctor.ts"),
  },
  {
    name: "config",
    summary: "show and change the settings, with the source of each",
    details: `
      Values come from flags, else from the profile that --profile or VM_OIDC_PROFILE names,
      else from variables, else from the file. A place that names another issuer, client or
      API key than those above it is passed over. The file is ${USUAL_SETTINGS}, or the one
      that ${CONFIG_VARIABLE} or --config names.

      list shows the settings in force, and the place of the file. discover writes what the
      API at ADDRESS says of a sign-in to it, as login ADDRESS does. set, unset and discover
      change the file, or the profile in it that --profile names.

      Names: ${SETTINGS.join(", ")}. The names of flags, such as client-id, serve as well, and
      so does NAME=VALUE. A value that is not a text is JSON. The file must hold no secret.`,
    args: "[list | set NAME VALUE… | unset NAME… | discover ADDRESS]",
    words: ["list", "set", "unset", "discover"],
    flags: [...OPTION_FLAGS, "json"],
    examples: `
      config
      config set issuer https://login.example.com client-id my-client
      config set api-host https://api.example.com/v1/ --profile staging
      config unset api-host
      config list --json | jq -r .file.path`,
    action: "show the settings",
    load: () => import("./commands/config.ts"),
  },
  {
    name: "permissions",
    summary: "list the exact Deno flags that a script or this program needs",
    details: `
      Reads the same options and variables as the script. Uses no network, unless --discover
      is given. An optional variable is listed if it is set here. --json also has them as a
      permission set for deno.json.`,
    flags: [
      "for",
      ...SIGN_IN_FLAGS,
      "redirect-uri",
      "listen",
      "open",
      "api-host",
      "discover",
      "json",
    ],
    examples: `
      permissions --api-host https://api.example.com/v1/
      permissions --for cli
      permissions --for cli --backend kv --backend-options kv.json`,
    action: "name the permissions",
    load: () => import("./commands/permissions.ts"),
  },
  {
    name: "completions",
    summary: "print the completions for bash, zsh and fish",
    details: `
      For the program as deno install names it: ${PROGRAM}.

      bash: source the file in ~/.bashrc

      zsh: source the file in ~/.zshrc, below compinit

      fish: the file is in the folder ~/.config/fish/completions`,
    args: "[bash | zsh | fish]",
    words: ["bash", "zsh", "fish"],
    flags: [],
    examples: `
      completions bash > ~/.${PROGRAM}.bash
      completions fish > ~/.config/fish/completions/${PROGRAM}.fish`,
    action: "print the completions",
    load: () => import("./commands/completions.ts"),
  },
];
