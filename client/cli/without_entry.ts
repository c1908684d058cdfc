import type {
  OidcCredentials,
  OidcCredentialsBackend,
} from "../../backends/oidc_credentials_backend.ts";

/**
 * The same backend without one entry until a new one is stored, so that a person is asked. Errors
 * name it and its place as before.
 */
export function withoutEntry(
  backend: OidcCredentialsBackend,
  key: string,
): OidcCredentialsBackend {
  let isHidden = true;
  const members: Partial<OidcCredentialsBackend> = {
    get: (one) => isHidden && one === key ? undefined : backend.get(one),
    put: async (one: string, entry: OidcCredentials) => {
      await backend.put(one, entry);
      if (one === key) isHidden = false;
    },
  };
  return new Proxy(backend, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name);
      const value = Reflect.get(target, name);
      // Bound, since a method may use private fields, which a proxy does not have.
      return typeof value === "function" && name !== "constructor" ? value.bind(target) : value;
    },
  });
}
