/* The documents of the inbox with the types of what they take and give, after schema/schema.graphql. */
import { gql, type TypedDocumentNode } from "@apollo/client";
import type { UserError } from "./operations";

export interface Person {
  id: string;
  name: string;
}

export interface Message {
  __typename: "Message";
  id: string;
  direction: "INBOUND" | "OUTBOUND";
  isNote: boolean;
  authorId: string | null;
  author: (Person & { __typename: "AdminUser" }) | null;
  body: string;
  clientKey: string | null;
  status: "QUEUED" | "SENT" | "DELIVERED" | "READ" | "FAILED";
  deliveredAt: string | null;
  readAt: string | null;
  createdAt: string;
  editedAt: string | null;
  deletedAt: string | null;
}

export interface Conversation {
  id: string;
  status: "OPEN" | "PENDING" | "SNOOZED" | "RESOLVED" | "SPAM";
  snoozedUntil: string | null;
  priority: string;
  lastMessagePreview: string | null;
  lastActivityAt: string;
  messageCount: number;
  version: number;
  contact: { id: string; name: string | null } | null;
  assignee: Person | null;
  labels: { id: string; name: string; colour: string }[];
}

export type Listed = Conversation & { unreadCount: number | null };

export interface Filter {
  statuses?: Conversation["status"][];
  assignee?: "ME" | "NOBODY";
  labelId?: string;
  search?: string;
}

const MESSAGE_FIELDS = gql`
  fragment MessageFields on Message {
    id
    direction
    isNote
    authorId
    author { id name }
    body
    clientKey
    status
    deliveredAt
    readAt
    createdAt
    editedAt
    deletedAt
  }
`;

const CONVERSATION_FIELDS = gql`
  fragment ConversationFields on Conversation {
    id
    status
    snoozedUntil
    priority
    lastMessagePreview
    lastActivityAt
    messageCount
    version
    contact { id name }
    assignee { id name }
    labels { id name colour }
  }
`;

// What a message changes in its conversation, which conversationChanged does not tell. Nothing that differs from
// person to person, like unreadCount, may stand here: these events are made once for all who follow.
const MOVED_FIELDS = gql`
  fragment MovedFields on Message {
    conversation { id lastMessagePreview lastActivityAt messageCount version }
  }
`;

const LISTED_FIELDS = gql`
  fragment ListedFields on Conversation {
    ...ConversationFields
    unreadCount
  }
  ${CONVERSATION_FIELDS}
`;

const COUNTS_FIELDS = gql`
  fragment CountsFields on ConversationCounts {
    open
    pending
    mine
    unassigned
    unread
  }
`;

export const CONVERSATION: TypedDocumentNode<
  {
    conversation:
      | (Conversation & {
          messages: { nodes: Message[]; pageInfo: { hasPreviousPage: boolean; startCursor: string | null } };
        })
      | null;
  },
  { id: string; before?: string | null }
> = gql`
  query Conversation($id: ID!, $before: String) {
    conversation(id: $id) {
      ...ConversationFields
      messages(last: 50, before: $before) {
        nodes { ...MessageFields }
        pageInfo { hasPreviousPage startCursor }
      }
    }
  }
  ${CONVERSATION_FIELDS}
  ${MESSAGE_FIELDS}
`;

export const CONVERSATIONS: TypedDocumentNode<
  {
    conversations: { nodes: Listed[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } | null;
    conversationCounts: Record<"open" | "pending" | "mine" | "unassigned" | "unread", number> | null;
  },
  { filter: Filter; after?: string | null }
> = gql`
  query Conversations($filter: ConversationFilterInput, $after: String) {
    conversations(filter: $filter, first: 50, after: $after) {
      nodes { ...ListedFields }
      pageInfo { hasNextPage endCursor }
    }
    conversationCounts { ...CountsFields }
  }
  ${LISTED_FIELDS}
  ${COUNTS_FIELDS}
`;

export const SEND_MESSAGE: TypedDocumentNode<
  { sendMessage: { message: Message | null; userErrors: UserError[] } | null },
  { input: { conversationId: string; body: string; clientKey: string } }
> = gql`
  mutation SendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      message { ...MessageFields }
      userErrors { code message field }
    }
  }
  ${MESSAGE_FIELDS}
`;

/** What a subscription tells: a state to begin with, or a change. */
export interface Told {
  __typename: string;
  cursor: string;
}

// The variable after is filled in by the link, see client.ts.
type Following<Name extends string, Event, Variables> = TypedDocumentNode<Record<Name, Event>, Variables>;

export const MESSAGE_ADDED: Following<"messageAdded", Told & { message?: Message | null }, { id: string }> = gql`
  subscription MessageAdded($id: ID!, $after: String) {
    messageAdded(conversationId: $id, after: $after) {
      ... on StreamEvent { cursor }
      ... on MessageChange { message { ...MessageFields ...MovedFields } }
    }
  }
  ${MESSAGE_FIELDS}
  ${MOVED_FIELDS}
`;

export const MESSAGE_CHANGED: Following<"messageChanged", Told, { id: string }> = gql`
  subscription MessageChanged($id: ID!, $after: String) {
    messageChanged(conversationId: $id, after: $after) {
      ... on StreamEvent { cursor }
      ... on MessagesSnapshot { messages { id body editedAt deletedAt } }
      ... on MessageChange { message { id body editedAt deletedAt ...MovedFields } }
    }
  }
  ${MOVED_FIELDS}
`;

export const MESSAGE_RECEIPT_CHANGED: Following<"messageReceiptChanged", Told, { id: string }> = gql`
  subscription MessageReceiptChanged($id: ID!, $after: String) {
    messageReceiptChanged(conversationId: $id, after: $after) {
      ... on StreamEvent { cursor }
      ... on MessagesSnapshot { messages { id status deliveredAt readAt } }
      ... on MessageReceiptChange { messages { id status deliveredAt readAt } }
    }
  }
`;

export const CONVERSATION_CHANGED: Following<"conversationChanged", Told, { id: string }> = gql`
  subscription ConversationChanged($id: ID!, $after: String) {
    conversationChanged(conversationId: $id, after: $after) {
      ... on StreamEvent { cursor }
      ... on ConversationSnapshot { conversation { ...ConversationFields } }
      ... on ConversationChange { conversation { ...ConversationFields } }
    }
  }
  ${CONVERSATION_FIELDS}
`;

export const CONVERSATION_LIST: Following<
  "conversationList",
  Told & { conversationId?: string; conversation?: Listed | null; counts?: Record<string, number> },
  { filter: Filter }
> = gql`
  subscription ConversationList($filter: ConversationFilterInput, $after: String) {
    conversationList(filter: $filter, after: $after) {
      ... on StreamEvent { cursor }
      ... on ConversationListChange {
        conversationId
        conversation { ...ListedFields }
        counts { ...CountsFields }
      }
    }
  }
  ${LISTED_FIELDS}
  ${COUNTS_FIELDS}
`;
