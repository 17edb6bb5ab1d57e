"use strict";

// The endpoint is the page's neighbour, also behind a proxy that serves everything below a path of its own.
const endpoint = new URL("graphql", document.baseURI);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

const welcome = `# Sign in by the mutation signIn, then put the token into "Headers" below:
#
#   { "Authorization": "Bearer <token>" }
#
# Queries and mutations send it as a header, subscriptions in connection_init.
`;

// The fetcher adds what the Headers editor holds, to requests and to connection_init alike.
const fetcher = GraphiQL.createFetcher({ url: endpoint.href, subscriptionUrl: socket.href });

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: welcome, defaultEditorToolsVisibility: "headers" }),
);
