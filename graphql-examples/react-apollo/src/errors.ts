/* What went wrong. Expected failures of a mutation come as `userErrors` in its payload; everything else, like a missing
   permission or too many requests, as errors with a code in their extensions. */
import { CombinedGraphQLErrors } from "@apollo/client/errors";

const SENTENCES: Record<string, string> = {
  FORBIDDEN: "You may not do this; ask the owner of the app.",
  TWO_FACTOR_REQUIRED: "Your app requires a second factor; set one up first.",
  RATE_LIMITED: "Too many requests; wait a moment.",
  UNAUTHENTICATED: "Your session has ended; sign in again.",
};

export function codeOf(error: unknown): string | null {
  return CombinedGraphQLErrors.is(error) ? String(error.errors[0]?.extensions?.code) : null;
}

/** A sentence for people. */
export function sentence(error: unknown): string {
  if (!CombinedGraphQLErrors.is(error)) return "The server cannot be reached at the moment.";
  return SENTENCES[codeOf(error) ?? ""] ?? error.message;
}
