import type { PagePromises } from "../page_promises.ts";

const CONFIG = "client/cli/commands/config_test.ts: config:";
const DOCUMENT = "client/cli/settings/settings_document_test.ts: settings:";
const FILE = "client/cli/settings/settings_file_test.ts: settings file:";
const SETTINGS = "client/cli/settings/settings_test.ts: settings:";
const PYTHON = "behaviour/storage/python_interop_test.ts:";
const BESIDE = "backends/file/beside_python_test.ts:";
const LIBRARY = "behaviour/refresh/beside_python_live_test.ts: beside Python:";
const OPTIONS = "client/options/resolve_options_test.ts:";

/** The settings file of the command line, and the file that the Python library shares. */
export const FILES: PagePromises = {
  promises: [
    // Settings file.
    [
      "In place of exported variables `validmind-auth` reads",
      `${FILE} with … it is …`,
      `${FILE} on Windows it is in the folder for settings`,
      `${CONFIG} a settings file signs in, and every command finds the sign-in by it`,
    ],
    [
      "Only the command line reads it",
      `${CONFIG} permissions lists the file, for this program and not for a script`,
    ],
    [
      "The settings are `issuer`, `clientId`",
      `${DOCUMENT} the flag of each setting is one of the command line`,
      `${SETTINGS} a command takes what it has a flag for`,
    ],
    [
      "Anything else is an error (`settings_invalid`",
      `${DOCUMENT} … is refused, by file and key`,
      `${CONFIG} a file that cannot be used ends every command, by file and key`,
    ],
    [
      "`profiles` has the settings of a",
      `${DOCUMENT} default, and profiles that stand for themselves`,
    ],
    [
      "`--profile staging` takes everything",
      `${SETTINGS} a profile takes nothing from default, and one that is not there takes all`,
      `${CONFIG} a profile of the file has a provider and a store of its own`,
    ],
    [
      "A profile without an entry",
      `${SETTINGS} a profile takes nothing from default, and one that is not there takes all`,
    ],
    [
      "A flag wins over a variable",
      `${SETTINGS} a flag wins over a variable, and a variable over the file`,
    ],
    [
      "The entry of a profile that `--profile` names",
      `${SETTINGS} a profile that is typed wins over variables, one of a variable does not`,
    ],
    [
      "It is not for secrets, and refuses them",
      `${DOCUMENT} … is refused, by file and key`,
      `${DOCUMENT} what only names a secret is none`,
    ],
    [
      "A client's key or assertion file is used",
      `${SETTINGS} the client's key … for …`,
    ],
    [
      "A relative path is taken from the folder",
      `${DOCUMENT} a relative path is taken from the folder of the file`,
    ],
    [
      "The file belongs to you or to the superuser",
      `${FILE} … is refused, by its path`,
      `${FILE} one of another user is refused, one of the superuser is not`,
    ],
    [
      "A file that Deno does not permit to read",
      `${FILE} what Deno does not permit is left alone, with the flag for it`,
      `${CONFIG} a file that Deno does not permit is told, and no command fails for it`,
      `${SETTINGS} a file that is named has to be there`,
    ],
    [
      "`permissions --for cli` lists the file",
      `${CONFIG} permissions lists the file, for this program and not for a script`,
      `${FILE} without the user's id only a file that is closed to others is read`,
    ],
    // Beside the Python library.
    [
      "Both use one file",
      `${PYTHON} Python reads what this module wrote`,
      `${PYTHON} credentialKey finds every row that Python wrote, in each spelling`,
    ],
    [
      "Fields that one of them does not know",
      `${PYTHON} a refresh of a row of Python keeps the fields that Python and others wrote`,
    ],
    [
      "A write of this module that it undoes",
      `${BESIDE} a put that the first write of the Python library undoes is found by the next get`,
      `${BESIDE} a first put and a sign-out that the Python library undoes are made again`,
    ],
    [
      "A refresh of this module first takes",
      `${BESIDE} in the default file a row is hidden also where the Python library has never written`,
      `${BESIDE} a reservation hides the refresh token of a row that the Python library has written`,
    ],
    [
      "From its first sign-in or refresh on",
      `${BESIDE} a reservation waits for the refresh that the Python library may have begun`,
    ],
    [
      "Where a refresh of the Python library fails",
      `${LIBRARY} a refresh of the library that meets a fault signs out, though the grant lives`,
    ],
    [
      "For this module that is a sign-out",
      `${LIBRARY} a refusal of the library that comes after a refresh signs out`,
      `${LIBRARY} a refusal of the library in the midst of a refresh ends the new tokens, too`,
    ],
    [
      "Credentials that are passed as options win",
      `${OPTIONS} resolveOptions: credentials as options are not held against variables`,
    ],
    [
      "Both kinds as options, or both as variables",
      "client/options/bad_options_test.ts: init refuses …: …",
    ],
    [
      '`apiKey: "..."`, as in an unedited notebook',
      `${OPTIONS} resolveInitOptions: apiKey "..." takes all from the environment`,
    ],
  ],
  describes: [
    "`init()` and `createSession()` take options and variables",
    "`clientSecret` is `VM_OIDC_CLIENT_SECRET` beside",
    // The Python library.
    "The Python library takes no lock",
    "A refresh of the library that is under way",
    "To share a sign-in safely",
    "In the Python library that is an error",
  ],
};
