/* Apollo Client: queries and mutations over HTTP, subscriptions over one websocket, both with a fresh token. */
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from "@apollo/client";
import { SetContextLink } from "@apollo/client/link/context";
import { ErrorLink } from "@apollo/client/link/error";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { relayStylePagination } from "@apollo/client/utilities";
import { OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { tap } from "rxjs";
import { codeOf } from "./errors";
import { inboxPolicies } from "./inbox";
import { distrust, freshToken, isSignedIn, keep, onChange } from "./session";

async function authorization(): Promise<{ Authorization?: string }> {
  const token = await freshToken();
  return token ? { Authorization: `Bearer ${token}` } : {};
}

const authorize = new SetContextLink(async ({ headers }) => ({
  headers: { ...(headers as Record<string, string>), ...(await authorization()) },
}));

// Tokens are renewed before they end, so whoever is not let in has no session any more.
const signOutWhenRefused = new ErrorLink(({ error }) => {
  if (codeOf(error) === "UNAUTHENTICATED") keep(null);
});

const socket = createClient({
  url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`,
  connectionParams: authorization, // asked anew at each reconnect
  on: {
    // 4403 means: come back with a fresh token. Where the session has ended, renewing it finds out and signs out.
    closed: (event) => (event as CloseEvent).code === 4403 && distrust(),
  },
  retryAttempts: Infinity,
  shouldRetry: () => true, // also when there is no server to shake hands with
  retryWait: (tries) => new Promise((resolve) => setTimeout(resolve, Math.min(500 * 2 ** tries, 15_000))),
  keepAlive: 10_000,
});

// When the websocket comes back, it sends what was subscribed again, with the variables as they are then. So what a
// subscription has told last is kept in them: what happened meanwhile follows, and nothing comes twice.
const resume = new ApolloLink((operation, forward) =>
  forward(operation).pipe(
    tap(({ data }) => {
      const [event] = Object.values(data ?? {}) as ({ cursor?: string } | null)[];
      if (event?.cursor) operation.variables.after = event.cursor;
    }),
  ),
);

export const client = new ApolloClient({
  link: signOutWhenRefused.concat(
    ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      resume.concat(new GraphQLWsLink(socket)),
      authorize.concat(new HttpLink({ uri: "/graphql" })),
    ),
  ),
  cache: new InMemoryCache({
    typePolicies: {
      ...inboxPolicies,
      Query: { fields: { broadcasts: relayStylePagination(), ...inboxPolicies.Query?.fields } },
    },
  }),
});

// What one person has read is not for the next one.
onChange(() => void (isSignedIn() || client.clearStore()));
