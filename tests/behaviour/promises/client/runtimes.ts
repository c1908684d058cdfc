import type { PagePromises } from "../page_promises.ts";

const SECOND = "behaviour/second_runtime_live_test.ts: …:";
const TYPES = "behaviour/declarations_live_test.ts:";
const WITHOUT = "behaviour/without_deno_test.ts: without Deno";

/** Node and Bun. */
export const RUNTIMES: PagePromises = {
  promises: [
    [
      "What needs requests, variables and standard error alone",
      `${WITHOUT} the variables, requests and warnings work`,
      `${SECOND} every entry point can be imported`,
    ],
    [
      "For TypeScript, set `skipLibCheck: true`",
      `${TYPES} TypeScript checks a program for Node by the declarations, with skipLibCheck`,
      `${TYPES} with dom, without skipLibCheck, the declarations lack Deno's types alone`,
      `${TYPES} with dom and @types/deno the declarations themselves are checked`,
    ],
    [
      "`init()`, `createSession()`, refresh, `session.fetch()`",
      `${SECOND} a sign-in, a refresh, requests and a sign-out, in memory`,
    ],
    [
      "the device flow, `onDeviceCode`, an API key",
      `${SECOND} a sign-in, a refresh, requests and a sign-out, in memory`,
      `${SECOND} an API key signs in, and a refused API token is renewed`,
      `${SECOND} a client signs in by its secret, and fallback keeps its token`,
      `${SECOND} tokens bound to a key are refreshed, and sent with proofs that the provider checks`,
    ],
    ["the prompt | plain lines", `${SECOND} the prompt is plain lines on standard error`],
    [
      "memory, encrypted, fallback, Vault, a class of yours | as on Deno",
      `${SECOND} a sign-in, a refresh, requests and a sign-out, in memory`,
      `${SECOND} encrypted over memory signs in, refreshes and starts again`,
      `${SECOND} a client signs in by its secret, and fallback keeps its token`,
      `${SECOND} Vault keeps a sign-in for the next start`,
      `${SECOND} all else is refused before any work`,
    ],
    [
      "file (the default), Deno KV, keychain | `runtime_unsupported`",
      `${SECOND} all else is refused before any work`,
      `${WITHOUT} the default store is refused before any work`,
    ],
    ["the browser flow, `startSignIn()`", `${SECOND} all else is refused before any work`],
    ["`isolate`, the command line, `./testing` |", `${SECOND} all else is refused before any work`],
    [
      "permissions | taken as granted",
      `${WITHOUT} the variables, requests and warnings work`,
      `${SECOND} a sign-in, a refresh, requests and a sign-out, in memory`,
    ],
    [
      "`runtime_unsupported` comes before any work",
      `${SECOND} all else is refused before any work`,
      `${WITHOUT} the default store is refused before any work`,
    ],
  ],
  describes: ["There `npx jsr add @validmind/auth` installs"],
};
