"use strict";

// The endpoint is the page's neighbour, also behind a proxy that serves everything below a path of its own.
const endpoint = new URL("graphql", document.baseURI);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol === "https:" ? "wss:" : "ws:";

const welcome = `# Sign in first, then put the token into
# "Headers" below, for all three kinds
# of operation:
#
#   { "Authorization": "Bearer <token>" }
`;

// The fetcher sends what the Headers editor holds with requests, and for subscriptions in connection_init.
const fetcher = GraphiQL.createFetcher({ url: endpoint.href, subscriptionUrl: socket.href });

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher, defaultQuery: welcome, defaultEditorToolsVisibility: "headers" }),
);
