/* The inbox in Apollo's cache: screens read CONVERSATION and CONVERSATIONS with useQuery, and follow what they show:

     const { data } = useQuery(CONVERSATION, { variables: { id } });
     useEffect(() => followConversation(client, id, setError), [client, id]);

   What has an id, Apollo brings up to date by itself wherever it is shown. Left to do here: what enters a list or
   leaves it, and that no answer that was long on its way overwrites what was told meanwhile. */
import type {
  ApolloCache,
  ApolloClient,
  FieldPolicy,
  OperationVariables,
  TypedDocumentNode,
  TypePolicies,
} from "@apollo/client";
import { CombinedGraphQLErrors } from "@apollo/client/errors";
import { concatMap, defer, map, merge, retry, throwError, timer, type Observable } from "rxjs";
import {
  CONVERSATION,
  CONVERSATION_CHANGED,
  CONVERSATION_LIST,
  CONVERSATIONS,
  MESSAGE_ADDED,
  MESSAGE_CHANGED,
  MESSAGE_RECEIPT_CHANGED,
  SEND_MESSAGE,
  type Filter,
  type Listed,
  type Message,
  type Person,
} from "./inboxOperations";

const RETRY_MS = 1000;
const STEPS = ["QUEUED", "SENT", "DELIVERED", "READ", "FAILED"];
interface Page {
  nodes: { __ref: string }[];
  pageInfo: object;
}

/** One list of all its pages. Read without a cursor it begins anew, so to read it again is to refresh it. */
function pages(keyArgs: FieldPolicy["keyArgs"]): FieldPolicy<Page> {
  return {
    keyArgs,
    merge(existing, incoming, { args }) {
      if (!existing || !(args?.after || args?.before)) return incoming;
      const read = new Set(incoming.nodes.map(({ __ref }) => __ref));
      const others = existing.nodes.filter(({ __ref }) => !read.has(__ref));
      return { ...incoming, nodes: args.after ? [...others, ...incoming.nodes] : [...incoming.nodes, ...others] };
    },
  };
}

// Receipts only go forward: the answer to a mutation may arrive after the tick that came later.
const onlyForward: FieldPolicy<string> = {
  merge: (existing = "QUEUED", incoming) => (STEPS.indexOf(incoming) < STEPS.indexOf(existing) ? existing : incoming),
};
const onlyOnce: FieldPolicy<string | null> = { merge: (existing, incoming) => existing ?? incoming };

export const inboxPolicies: TypePolicies = {
  Query: { fields: { conversations: pages(["filter"]) } },
  Conversation: { fields: { messages: pages(false) } },
  Message: { fields: { status: onlyForward, deliveredAt: onlyOnce, readAt: onlyOnce, deletedAt: onlyOnce } },
};

/** Keeps a conversation true until the function that it returns is called. */
export function followConversation(client: ApolloClient, id: string, onError: (error: unknown) => void): () => void {
  const added = async ({ __typename, message }: { __typename: string; message?: Message | null }) => {
    if (__typename === "MessagesSnapshot") await readAnew(client, CONVERSATION, { id });
    if (message) insert(client.cache, id, message);
  };
  return follow(onError, () => [
    told(client, MESSAGE_ADDED, { id }, added),
    told(client, MESSAGE_CHANGED, { id }),
    told(client, MESSAGE_RECEIPT_CHANGED, { id }),
    told(client, CONVERSATION_CHANGED, { id }),
  ]);
}

/** Keeps a list of conversations true until what it returns is called; with the filter {} also the counts. */
export function followList(client: ApolloClient, filter: Filter, onError: (error: unknown) => void): () => void {
  return follow(onError, () => [
    told(client, CONVERSATION_LIST, { filter }, async ({ __typename, conversationId, conversation, counts }) => {
      if (__typename === "ConversationListSnapshot") await readAnew(client, CONVERSATIONS, { filter });
      client.cache.updateQuery({ query: CONVERSATIONS, variables: { filter } }, (data) => {
        if (!data?.conversations || !conversationId) return data;
        const { nodes, pageInfo } = data.conversations;
        const others = nodes.filter(({ id }) => id !== conversationId);
        const moved = conversation ? placed(others, conversation, pageInfo.hasNextPage) : others; // null: it has left
        return { conversations: { ...data.conversations, nodes: moved }, conversationCounts: counts! };
      });
    }),
  ]);
}

/** Shows an answer at once and sends it. To try again after a failure, give the same `clientKey`: it is sent once. */
export async function sendOptimistically(
  client: ApolloClient,
  { conversationId, body, me, clientKey = crypto.randomUUID() }: Answer,
) {
  const pending: Message = {
    __typename: "Message",
    id: `pending:${clientKey}`,
    direction: "OUTBOUND",
    isNote: false,
    authorId: me.id,
    author: { __typename: "AdminUser", ...me },
    body,
    clientKey,
    status: "QUEUED",
    deliveredAt: null,
    readAt: null,
    createdAt: new Date().toISOString(),
    editedAt: null,
    deletedAt: null,
  };
  const payload = { __typename: "SendMessagePayload", message: pending, userErrors: [] };
  const { data } = await client.mutate({
    mutation: SEND_MESSAGE,
    variables: { input: { conversationId, body, clientKey } },
    optimisticResponse: { sendMessage: payload },
    // Runs for the pending message, and again for the real one after Apollo has forgotten the pending one.
    update(cache, { data }) {
      if (data?.sendMessage?.message) insert(cache, conversationId, data.sendMessage.message);
    },
  });
  return data?.sendMessage ?? null;
}

interface Answer {
  conversationId: string;
  body: string;
  me: Person;
  clientKey?: string;
}

/** Puts a message into its place. It comes by mutation and by subscription, in either order, and stands there once. */
function insert(cache: ApolloCache, id: string, message: Message) {
  cache.updateQuery({ query: CONVERSATION, variables: { id } }, (data) => {
    const page = data?.conversation?.messages;
    if (!page || page.nodes.some((other) => isSame(other, message))) return data;
    const after = page.nodes.filter(({ createdAt }) => isPending(message) || createdAt <= message.createdAt).length;
    const nodes = [...page.nodes.slice(0, after), message, ...page.nodes.slice(after)];
    return { conversation: { ...data.conversation!, messages: { ...page, nodes } } };
  });
}

const isPending = ({ id }: Message) => id.startsWith("pending:");

function isSame(one: Message, other: Message) {
  const alike = one.clientKey !== null && one.clientKey === other.clientKey && one.authorId === other.authorId;
  return one.id === other.id || alike;
}

/** Newest activity first. What belongs behind all that is loaded comes with the next page. */
function placed(others: Listed[], one: Listed, hasNextPage: boolean): Listed[] {
  const at = others.findIndex(({ lastActivityAt }) => lastActivityAt <= one.lastActivityAt);
  if (at < 0) return hasNextPage ? others : [...others, one];
  return [...others.slice(0, at), one, ...others.slice(at)];
}

type Job = () => Promise<void>;

/** What is to be done about each event of a subscription, once its turn has come. */
function told<Event, Variables extends OperationVariables>(
  client: ApolloClient,
  query: TypedDocumentNode<Record<string, Event>, Variables>,
  variables: Variables,
  apply: (event: Event) => Promise<void> = async () => {},
): Observable<Job> {
  const events = client.subscribe({ query, variables, fetchPolicy: "no-cache" } as ApolloClient.SubscribeOptions);
  return events.pipe(
    map(({ data, error }) => async () => {
      if (error) throw error;
      client.cache.write({ dataId: "ROOT_SUBSCRIPTION", query, variables, result: data as Record<string, Event> });
      await apply(Object.values(data as Record<string, Event>)[0]!);
    }),
  );
}

/** Does one job after the other. A state that begins a subscription is read while the events after it wait. */
function follow(onError: (error: unknown) => void, listen: () => Observable<Job>[]): () => void {
  const jobs = defer(() => merge(...listen())).pipe(concatMap((job) => job()));
  // What the server refuses, it refuses again; when it could not be reached, everything begins anew.
  const delay = (error: unknown) => (CombinedGraphQLErrors.is(error) ? throwError(() => error) : timer(RETRY_MS));
  const following = jobs.pipe(retry({ delay })).subscribe({ error: onError });
  return () => following.unsubscribe();
}

async function readAnew<Data, Variables extends OperationVariables>(
  client: ApolloClient,
  query: TypedDocumentNode<Data, Variables>,
  variables: Variables,
) {
  await client.query({ query, variables, fetchPolicy: "network-only" } as ApolloClient.QueryOptions);
}
