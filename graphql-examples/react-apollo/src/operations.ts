/* The documents of this page with the types of what they take and give, after schema/schema.graphql. */
import { gql, type TypedDocumentNode } from "@apollo/client";

export interface UserError {
  code: string;
  message: string;
  field: string[] | null;
}

export interface Tokens {
  accessToken: string;
  refreshToken: string;
  expiresAt: string;
}

export type TokensPayload = { [name in keyof Tokens]: Tokens[name] | null } & { userErrors: UserError[] };

export type Status = "DRAFT" | "SCHEDULED" | "SENDING" | "PAUSED" | "SENT" | "FAILED" | "CANCELLED";

interface Stats {
  totalRecipients: number;
  totalSent: number;
  totalFailed: number;
  totalOpened: number;
  openRate: number | null;
}

export interface Broadcast {
  id: string;
  title: string;
  body: string;
  status: Status;
  createdAt: string;
  scheduledAt: string | null;
  errorMessage: string | null;
  createdBy: { id: string; name: string } | null;
  stats: Stats;
}

interface BroadcastPayload {
  broadcast: Broadcast | null;
  userErrors: UserError[];
}

export interface Progress {
  id: string;
  status: Status;
  rate: number | null;
  ended: boolean;
  stats: Stats;
}

const USER_ERROR_FIELDS = gql`
  fragment UserErrorFields on UserError {
    code
    message
    field
  }
`;

const STATS_FIELDS = gql`
  fragment StatsFields on BroadcastStats {
    totalRecipients
    totalSent
    totalFailed
    totalOpened
    openRate
  }
`;

const BROADCAST_FIELDS = gql`
  fragment BroadcastFields on Broadcast {
    id
    title
    body
    status
    createdAt
    scheduledAt
    errorMessage
    createdBy { id name }
    stats { ...StatsFields }
  }
  ${STATS_FIELDS}
`;

export const SIGN_IN: TypedDocumentNode<
  { signIn: (TokensPayload & { challenge: string | null }) | null },
  { input: { email: string; password: string } }
> = gql`
  mutation SignIn($input: SignInInput!) {
    signIn(input: $input) {
      accessToken
      refreshToken
      expiresAt
      challenge
      userErrors { ...UserErrorFields }
    }
  }
  ${USER_ERROR_FIELDS}
`;

export const CONFIRM_SIGN_IN: TypedDocumentNode<
  { confirmSignIn: TokensPayload | null },
  { input: { challenge: string; code: string } }
> = gql`
  mutation ConfirmSignIn($input: ConfirmSignInInput!) {
    confirmSignIn(input: $input) {
      accessToken
      refreshToken
      expiresAt
      userErrors { ...UserErrorFields }
    }
  }
  ${USER_ERROR_FIELDS}
`;

export const REFRESH_SESSION = `
  mutation RefreshSession($input: RefreshSessionInput!) {
    refreshSession(input: $input) {
      accessToken
      refreshToken
      expiresAt
    }
  }
`;

export const SIGN_OUT: TypedDocumentNode<{ signOut: { userErrors: UserError[] } | null }> = gql`
  mutation SignOut {
    signOut {
      userErrors { ...UserErrorFields }
    }
  }
  ${USER_ERROR_FIELDS}
`;

interface Session {
  id: string;
  isCurrent: boolean;
  user: { id: string; name: string } | null;
  app: { id: string; name: string } | null;
}

export const SESSIONS: TypedDocumentNode<{ sessions: Session[] | null }> = gql`
  query Sessions {
    sessions {
      id
      isCurrent
      user { id name }
      app { id name }
    }
  }
`;

interface BroadcastConnection {
  edges: { cursor: string; node: Broadcast }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

export const BROADCASTS: TypedDocumentNode<
  { broadcasts: BroadcastConnection | null },
  { first: number; after?: string | null }
> = gql`
  query Broadcasts($first: Int!, $after: String) {
    broadcasts(first: $first, after: $after) {
      edges {
        cursor
        node { ...BroadcastFields }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
  ${BROADCAST_FIELDS}
`;

export const BROADCAST: TypedDocumentNode<{ broadcast: Broadcast | null }, { id: string }> = gql`
  query Broadcast($id: ID!) {
    broadcast(id: $id) { ...BroadcastFields }
  }
  ${BROADCAST_FIELDS}
`;

interface CreateBroadcastInput {
  title: string;
  body: string;
  target: { targetType: "ALL_USERS" };
  idempotencyKey: string;
}

export const CREATE_BROADCAST: TypedDocumentNode<
  { createBroadcast: BroadcastPayload | null },
  { input: CreateBroadcastInput }
> = gql`
  mutation CreateBroadcast($input: CreateBroadcastInput!) {
    createBroadcast(input: $input) {
      broadcast { ...BroadcastFields }
      userErrors { ...UserErrorFields }
    }
  }
  ${BROADCAST_FIELDS}
  ${USER_ERROR_FIELDS}
`;

export const SEND_BROADCAST: TypedDocumentNode<
  { sendBroadcast: BroadcastPayload | null },
  { input: { id: string; idempotencyKey: string } }
> = gql`
  mutation SendBroadcast($input: SendBroadcastInput!) {
    sendBroadcast(input: $input) {
      broadcast { ...BroadcastFields }
      userErrors { ...UserErrorFields }
    }
  }
  ${BROADCAST_FIELDS}
  ${USER_ERROR_FIELDS}
`;

export const BROADCAST_PROGRESS: TypedDocumentNode<{ broadcastProgress: Progress }, { id: string }> = gql`
  subscription BroadcastProgress($id: ID!) {
    broadcastProgress(broadcastId: $id) {
      id
      status
      rate
      ended
      stats { ...StatsFields }
    }
  }
  ${STATS_FIELDS}
`;
