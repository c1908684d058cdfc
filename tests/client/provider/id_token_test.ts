import { assertSamePerson, type Subject } from "../../../client/provider/id_token.ts";
import { rejectsWith } from "../../support/rejects_with.ts";

Deno.test("assertSamePerson: the same sub at the same issuer, which may come to have a slash", async () => {
  const who = { iss: "https://login.example.com", sub: "a" };
  const same: Subject[] = [who, { ...who, iss: `${who.iss}/` }];
  for (const other of same) assertSamePerson(who, other, who.iss);
  const others: Subject[] = [
    { ...who, iss: `${who.iss}/x` },
    { ...who, iss: undefined },
    { ...who, sub: "A" },
  ];
  for (const other of others) {
    const run = () => Promise.try(assertSamePerson, who, other, who.iss);
    await rejectsWith("id_token_invalid", run, "another person's");
  }
  const unknown = () => Promise.try(assertSamePerson, "unknown", who, who.iss);
  await rejectsWith("id_token_invalid", unknown, "cannot be read", "Sign out and sign in again");
});
