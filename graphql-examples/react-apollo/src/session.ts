/* Who is signed in. The tokens live in memory only: reloading the page signs out, and no script can read them later. */
import { REFRESH_SESSION, type Tokens } from "./operations";

const SPARE_MS = 30_000;
const listeners = new Set<() => void>();
let tokens: Tokens | null = null;
let renewal: Promise<void> | null = null;

export function isSignedIn(): boolean {
  return tokens !== null;
}

/** For useSyncExternalStore: call back whenever somebody signs in or out. */
export function onChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function keep(next: Tokens | null): void {
  tokens = next;
  listeners.forEach((listener) => listener());
}

/** Renew the tokens at the next use, however long they should be good. */
export function distrust(): void {
  if (tokens) tokens = { ...tokens, expiresAt: new Date(0).toISOString() };
}

/** An access token that is good for another half minute, or null when nobody is signed in. */
export async function freshToken(): Promise<string | null> {
  if (tokens && Date.parse(tokens.expiresAt) - Date.now() < SPARE_MS) {
    // A refresh token works once, so all who need a fresh one wait for the same renewal.
    renewal ??= renew(tokens.refreshToken).finally(() => (renewal = null));
    await renewal;
  }
  return tokens?.accessToken ?? null;
}

async function renew(refreshToken: string): Promise<void> {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query: REFRESH_SESSION, variables: { input: { refreshToken } } }),
  });
  const { data } = (await response.json()) as { data?: { refreshSession: Tokens | null } };
  if (!data) throw new Error("The session could not be renewed; try again.");
  keep(data.refreshSession?.accessToken ? data.refreshSession : null);
}
