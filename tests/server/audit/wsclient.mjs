// The reference client of graphql-transport-ws against a running server: node wsclient.mjs ws://host:port/graphql
// Uses only what every schema has. A syntax error must not disturb its neighbours on the same websocket.
import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url] = process.argv.slice(2);
const closes = [];
const client = createClient({
  url,
  webSocketImpl: WebSocket,
  lazy: false,
  retryAttempts: 0,
  on: { closed: (event) => closes.push(event.code) },
});

const run = (payload) =>
  new Promise((resolve) => {
    const seen = [];
    client.subscribe(payload, {
      next: (value) => seen.push(value),
      error: (error) => resolve({ seen, error }),
      complete: () => resolve({ seen }),
    });
  });
const codes = ({ error }) => error.map((one) => one.extensions.code);

const [fine, syntax, unknown, twice, name] = await Promise.all([
  run({ query: "{ __typename }" }),
  run({ query: "{ __typename" }),
  run({ query: "{ noSuchField }" }),
  run({ query: "query A { __typename } query B { __typename }", operationName: "B" }),
  run({ query: "query A { __typename }", operationName: "Z" }),
]);
assert.deepEqual(fine.seen.map((value) => value.data.__typename), ["Query"]);
assert.deepEqual(codes(syntax), ["GRAPHQL_PARSE_FAILED"]);
assert.deepEqual(codes(unknown), ["GRAPHQL_VALIDATION_FAILED"]);
assert.deepEqual(twice.seen.map((value) => value.data.__typename), ["Query"]);
assert.deepEqual(codes(name), ["OPERATION_RESOLUTION_FAILURE"]);
assert.deepEqual(closes, [], "the websocket stayed open");
await client.dispose();
console.log("graphql-ws client: ok");
