import type { KnownFault } from "../run_elsewhere.ts";

const KEYCHAIN = "tests/live/backends/keychain_test.ts";
const BLOCKS =
  "a call of a native library holds up the program before Deno 2.7.5, and its time limit";

const PASTE = "tests/client/prompt/paste_test.ts";
const STDIN = "a paused standard input takes one more line, which a later question then misses";

/** Tests that fail on the oldest Deno by a difference of Deno's that the module does not touch. */
export const OLDEST_FAULTS: readonly KnownFault[] = [
  {
    file: KEYCHAIN,
    test: "the keychain passes the conformance suite, with the permissions it declares",
    reason: BLOCKS,
  },
  {
    file: KEYCHAIN,
    test: "a keyring that hangs is given up in time, and serves again when it goes on",
    reason: BLOCKS,
  },
  {
    file: "tests/behaviour/sign_in/client_key_test.ts",
    test: "client key: an ES512 key signs the client in, as a JWK and as PEM",
    reason: "P-521 is not to be had",
  },
  ...["in a shell", "detached"].map((where) => ({
    file: PASTE,
    test: `paste: an address signs in after wrong ones, and none is shown: ${where}`,
    reason: STDIN,
  })),
  {
    file: PASTE,
    test: "paste: a browser on this machine wins; later input is for the next question",
    reason: STDIN,
  },
];
