import { type PagePromises, STORE_TROUBLE } from "./page_promises.ts";

const NEIGHBOUR = "behaviour/hostile_neighbour_test.ts:";
const ROW = "backends/encrypted/sealed_row_test.ts:";
const KEYS = "backends/encrypted/key_source_test.ts:";
const STORED_KEYS = "backends/encrypted/key_source_stored_test.ts:";
const ROTATE = "backends/encrypted_rotate_test.ts:";
const ISOLATED = "backends/load/isolated_attack_test.ts: isolate,";
const TRANSPORT = "backends/load/isolated_transport_test.ts:";

/** The sections of backends/README.md that speak of security. */
export const BACKENDS: PagePromises = {
  sections: ["Encryption at rest", "Your own backend", "Errors of the store"],
  promises: [
    [
      "`EncryptedCredentialsBackend` encrypts what another",
      "backends/encrypted_test.ts: nothing of an entry stands in the store but the key's name",
      `${ROW} any entry under any key comes back, and is sealed differently each time`,
    ],
    ['`{ env: "TOKENS_KEY" }` |', `${KEYS} a key in a variable is the same in hex, base64 and`],
    ["32 bytes, or `{ bytes }`", `${KEYS} a key cannot be taken out again`],
    [
      "`{ passphrase }`: a text",
      `${KEYS} a passphrase opens what it sealed, in another instance`,
      `${KEYS} an entry cannot have a passphrase hashed more often than 2,000,000 times`,
    ],
    [
      "`{ backend }`, such as a",
      `${STORED_KEYS} a key is made at the first write, kept in its backend, and found`,
      `${STORED_KEYS} a lost key is encryption_key_unknown to reads and to writes, and no new one`,
    ],
    [
      "Changing the key",
      `${ROTATE} olderKeys are read with, and rotate() encrypts everything with the current key`,
      `${STORED_KEYS} rotate({ newKey: true }) makes a key, encrypts all with it`,
    ],
    [
      "Entries from before are refused until you decide",
      "backends/encrypted_plain_test.ts: a plain entry is refused, unless it is to be read or ignored",
    ],
    [
      '`plain: "read"` uses them',
      'backends/encrypted_plain_test.ts: plain "read" encrypts an entry at its next write',
      'backends/encrypted_plain_test.ts: plain "ignore" shares a file with Python',
    ],
    [
      "`migrateCredentials()` moves them",
      "backends/encrypted_plain_test.ts: migrateCredentials moves plain entries of one file into",
    ],
    [
      "What shows",
      "backends/encrypted_test.ts: nothing of an entry stands in the store but the key's name",
    ],
    [
      "All else is encrypted and bound",
      `${ROW} every flipped bit of the nonce, the ciphertext and the tag is decryption_failed`,
      "backends/encrypted_test.ts: a swapped row and one under another key are decryption_failed",
      "behaviour/storage/encrypted_session_test.ts: encrypted file: another key is an error and no",
    ],
    [
      "Text or bytes in place of an entry",
      "behaviour/storage/no_entry_test.ts: a store… that gives no entry is corrupt: nobody is asked",
      "backends/migrate_credentials_test.ts: migrateCredentials copies no text of an entry",
    ],
    [
      "The environment loads such a class",
      "backends/load/import_backend_test.ts: a class is constructed with the options, from an",
    ],
    [
      "A third-party backend that the environment names can be isolated",
      "backends/load/isolated_backend_test.ts: isolate, …: an isolated backend can neither read, write",
    ],
    [
      "The first runs it in a Worker",
      `${ISOLATED} …: the attack "…" is denied`,
      `${ISOLATED} worker: it opens the inspector of the main process, as the documentation says`,
    ],
    [
      "It needs `--allow-run` of the Deno executable",
      `${TRANSPORT} without --allow-run of Deno, the error names the flag and says what it amounts to`,
    ],
    [
      "It resolves no `npm:` module",
      `${ISOLATED} process: no package is asked for`,
      `${TRANSPORT} with \`import\`, an isolated process takes modules from Deno's cache`,
      `${TRANSPORT} a compiled program has no Deno to run`,
    ],
    ["Trouble with the store is never taken for", ...STORE_TROUBLE],
    [
      "the credentials file |",
      `${NEIGHBOUR} a file of another user signs nobody in, under …`,
      `${NEIGHBOUR} a link of another user is not followed, under …`,
    ],
    [
      "a lock file, also the keychain's |",
      `${NEIGHBOUR} a planted link in a lock file's place is not written through`,
      `${NEIGHBOUR} a planted link in the keychain's lock folder is not written through`,
      "backends/file/lock_planted_test.ts: a lock file that is a second name of another file",
    ],
    [
      "Deno KV's file and its `-wal`",
      `${NEIGHBOUR} a planted kv.db… of another user gets no token`,
      `${NEIGHBOUR} a Deno KV file in a folder that others can write is refused`,
      `${NEIGHBOUR} the files beside a Deno KV database are closed to others`,
    ],
    [
      "A pipe, a socket or a device",
      `${NEIGHBOUR} a named pipe in the file's place is refused at once`,
      `${NEIGHBOUR} a link to a device in the file's place is not read`,
    ],
    [
      "Where Deno does not tell the user's id",
      `${NEIGHBOUR} a file of another user signs nobody in, under …`,
    ],
  ],
  describes: [
    "The page of the credentials backends",
    "[README](../README.md) has the short form",
    "On a hub, in its environment",
    "`backend` is a name",
    '`"key": {"backend"',
    "What it cannot do",
    "A nonce is 96 random bits",
    "Reading takes about 70 µs more",
    "Three methods are enough",
    "Absent is `undefined`; a store",
    "Methods may be asynchronous",
    "`withLock` (one refresh at a time",
    "Deno does not let a package from JSR",
    "Import such a backend in your own code",
    "`@validmind/auth/testing` has the suite",
    "The script passes one of",
    "It needs `--unstable-worker-options`",
    '["worker-options"]',
    "The Worker is started for each use",
    "The second runs it in a Deno of its own",
    "Take it where the backend",
    "The documentation of `IsolateOptions`",
    // What to do about each code.
    "`permission_required` |",
    "`backend_denied` |",
    "`backend_auth_failed` |",
    "`backend_corrupt` |",
    "`backend_version` |",
    "`backend_locked` |",
    "`backend_too_large` |",
    "`backend_full` |",
    "`backend_unavailable` |",
    "`backend_timeout` |",
    "`keychain_locked` |",
    "`decryption_failed` |",
    "`encryption_key_unknown` |",
    "`backend_unproven` |",
    "`backend_no_list` |",
    "`unstable_kv_required` |",
    "`invalid_permissions` |",
    "`home_unset` |",
    "`invalid_options`, `invalid_backend` |",
    "`backend_spec_invalid`, `backend_kwargs_invalid`",
    "`runtime_unsupported` |",
    "`backend_import_unsupported` |",
    "`backend_import_failed`, `backend_export_missing`",
    "Files that are refused as `backend_denied`",
    "What to do: remove what is there",
  ],
};
