/** This release, as sent in `X-LIBRARY-VERSION`. A test holds it to deno.json. */
export const VERSION = "0.1.0";
