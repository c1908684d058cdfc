/** The floor for a keychain: one get by the bare library, and the header. */
import { AsyncEntry } from "@napi-rs/keyring";

const text = await new AsyncEntry("bench", "token").getPassword();
const headers = new Headers({ authorization: `Bearer ${JSON.parse(text!).access_token}` });
Deno.exit(headers.has("authorization") ? 0 : 1);
