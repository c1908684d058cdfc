import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ApiError, MissingModelIdError, ValidMindAuthError } from "../../client/errors.ts";
import { CredentialsBackendError } from "../../backends/credentials_backend_error.ts";
import { entry } from "../support/entries.ts";
import { trio } from "./fallback/fallback_world.ts";

const SOURCES = ["backends/credentials_backend_error.ts", "client/errors.ts"];

/** The classes of another copy of this module, as a backend that imports another version brings it. */
async function otherCopy() {
  const root = new URL("../../", import.meta.url);
  const folder = await Deno.makeTempDir();
  try {
    for (const source of SOURCES) {
      await Deno.mkdir(`${folder}/${source.split("/")[0]}`);
      await Deno.copyFile(new URL(source, root), `${folder}/${source}`);
    }
    const [errors, client] = await Promise.all(
      SOURCES.map((source) => import(new URL(`file://${folder}/${source}`).href)),
    );
    return { ...errors, ...client } as {
      CredentialsBackendError: typeof CredentialsBackendError;
      ValidMindAuthError: typeof ValidMindAuthError;
      ApiError: typeof ApiError;
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("an error of another copy of this module is an error of its class", async () => {
  const other = await otherCopy();
  assert(other.CredentialsBackendError !== CredentialsBackendError);
  const full = new other.CredentialsBackendError("backend_full", "Cannot write: full.");
  assertInstanceOf(full, CredentialsBackendError);
  const answer = new other.ApiError("Cannot get /x: 500.", 500, "");
  assertInstanceOf(answer, ApiError);
  assertInstanceOf(answer, ValidMindAuthError);
  assert(!(answer instanceof MissingModelIdError));
  assert(!(answer instanceof CredentialsBackendError));
  assert(!(new other.ValidMindAuthError("api_error", "Cannot.") instanceof ApiError));
});

Deno.test("a class of the caller's own has only its own errors", () => {
  class Own extends ApiError {}
  assertInstanceOf(new Own("Cannot get /x: 500.", 500, ""), Own);
  assert(!(new ApiError("Cannot get /x: 500.", 500, "") instanceof Own));
  const lookalike = { [Symbol.for("@validmind/auth ApiError")]: true };
  assert(!((lookalike as unknown) instanceof ApiError));
});

Deno.test("a fallback goes on after an error of another copy of this module", async () => {
  const other = await otherCopy();
  const { a, b, backend } = trio();
  a.get = () => {
    throw new other.CredentialsBackendError("backend_unavailable", "Cannot read: away. Wait.");
  };
  await backend.put("key", entry());
  assertEquals(b.rows.get("key")?.access_token, entry().access_token);
});
