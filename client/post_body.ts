import type { PostOptions } from "./session.ts";

/** The body of a POST: one that can be sent again, and that `fetch` does not by itself send twice. */
export function postBody(json: unknown, form: PostOptions["form"]): RequestInit {
  // As a Blob, which Deno sends once: a text body may be sent twice (denoland/deno#32566).
  if (json !== undefined) {
    return { body: new Blob([JSON.stringify(json)], { type: "application/json" }) };
  }
  if (form === undefined) return {};
  if (form instanceof FormData) return { body: form };
  if (!(form instanceof URLSearchParams) && hasFile(form)) return { body: toFormData(form) };
  const type = "application/x-www-form-urlencoded;charset=UTF-8";
  return {
    body: new Blob([new URLSearchParams(form as Record<string, string>).toString()], { type }),
  };
}

function hasFile(form: Record<string, string | Blob>): boolean {
  return Object.values(form).some((value) => value instanceof Blob);
}

function toFormData(form: Record<string, string | Blob>): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(form)) data.append(name, value);
  return data;
}
