import {
  FileCredentialsBackend,
  KvCredentialsBackend,
  MemoryCredentialsBackend,
  type OidcCredentialsBackend,
} from "@validmind/auth";
import { testCredentialsBackend } from "@validmind/auth/testing";

const folder = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

testCredentialsBackend("memory", () => new MemoryCredentialsBackend(), { permissions: "none" });

testCredentialsBackend(
  "file",
  () => new FileCredentialsBackend({ path: `${folder}/file/credentials.json` }),
  {
    broken: () => {
      Deno.writeTextFileSync(`${folder}/broken.json`, '{"credentials": {"x": "conformance-secret');
      return new FileCredentialsBackend({ path: `${folder}/broken.json` });
    },
    permissions: { read: [`${folder}/file`], write: [`${folder}/file`] },
  },
);

testCredentialsBackend("kv in memory", () => new KvCredentialsBackend(), { permissions: "none" });

testCredentialsBackend(
  "kv in a file",
  () => new KvCredentialsBackend({ path: `${folder}/kv/credentials.db` }),
  {
    broken: (): OidcCredentialsBackend => {
      Deno.writeTextFileSync(`${folder}/broken.db`, "conformance-secret ".repeat(400));
      return new KvCredentialsBackend({ path: `${folder}/broken.db` });
    },
    permissions: {
      read: [`${folder}/kv`],
      write: [`${folder}/kv`],
    },
  },
);
