/** Stores the same tokens by this module and by the bare library. */
import { KeychainCredentialsBackend } from "@validmind/auth/backends/keychain";
import { AsyncEntry } from "@napi-rs/keyring";
import { benchEntry, KEY } from "../bench_world.ts";

await new KeychainCredentialsBackend({ lockFolder: "/tmp" }).put(KEY, benchEntry());
await new AsyncEntry("bench", "token").setPassword(JSON.stringify(benchEntry()));
Deno.exit(0);
