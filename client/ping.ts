import type { ClientInfo } from "./session.ts";
import type { SignedInSession } from "./signed_in_session.ts";

type Json = Record<string, unknown>;

/** Asks the API who is there, and keeps its answer on the session. */
export async function ping(
  session: SignedInSession,
  signal?: AbortSignal,
): Promise<ClientInfo> {
  const answer = object(await session.get("ping", {}, signal === undefined ? {} : { signal }));
  session.info = {
    model: object(answer.model),
    featureFlags: object(answer.feature_flags),
    documentationTemplate: object(answer.documentation_template),
    documentType: typeof answer.document_type === "string"
      ? answer.document_type
      : "model_documentation",
  };
  return session.info;
}

function object(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value as Json : {};
}
