// Watches a broadcast until it ends: node watch.mjs [broadcast id]. Without an id it creates one to everybody and sends it.
// Takes REPLYHQ_URL, REPLYHQ_EMAIL and REPLYHQ_PASSWORD from the environment; without them, the demo's.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const url = process.env.REPLYHQ_URL ?? "http://127.0.0.1:8000";
const email = process.env.REPLYHQ_EMAIL ?? "ada@example.com";
const password = process.env.REPLYHQ_PASSWORD ?? "replyhq-demo-only";
const PROGRESS = `subscription($id: ID!) { broadcastProgress(broadcastId: $id) {
  at status pending rate limiter stats { totalRecipients totalSent totalFailed totalDelivered } } }`;

async function change(field, selection, input, headers = {}) {
  const type = `${field[0].toUpperCase()}${field.slice(1)}Input!`;
  const query = `mutation($input: ${type}) { ${field}(input: $input) { ${selection} userErrors { code message } } }`;
  const body = JSON.stringify({ query, variables: { input } });
  headers = { "Content-Type": "application/json", ...headers };
  const { data, errors } = await (await fetch(`${url}/graphql`, { method: "POST", headers, body })).json();
  if (errors) throw errors;
  if (data[field].userErrors.length) throw data[field].userErrors;
  return data[field];
}

async function sendOne(headers) {
  const content = { title: "Hello", body: "From watch.mjs", target: { targetType: "ALL_USERS" } };
  const { broadcast } = await change("createBroadcast", "broadcast { id }", content, headers);
  await change("sendBroadcast", "broadcast { id }", { id: broadcast.id }, headers);
  return broadcast.id;
}

function show({ at, status, pending, rate, limiter, stats }) {
  const counts = `${stats.totalSent} sent, ${stats.totalFailed} failed, ${stats.totalDelivered} delivered`;
  const speed = [rate && `${Math.round(rate)}/s`, limiter && `waits for ${limiter}`].filter(Boolean).join(" ");
  console.log(`${at} ${status}: ${counts}, ${pending} of ${stats.totalRecipients} pending ${speed}`);
}

async function watch(given) {
  const { accessToken } = await change("signIn", "accessToken", { email, password });
  const headers = { Authorization: `Bearer ${accessToken}` };
  const variables = { id: given ?? (await sendOne(headers)) };
  const socket = `${url.replace(/^http/, "ws")}/graphql`;
  const client = createClient({ url: socket, webSocketImpl: WebSocket, connectionParams: headers });
  for await (const { data, errors } of client.iterate({ query: PROGRESS, variables })) {
    if (errors) throw errors;
    show(data.broadcastProgress);
  }
  await client.dispose();
}

watch(process.argv[2]).catch((failure) => {
  const { code, extensions, message } = [failure].flat()[0];
  console.error(`${code ?? extensions?.code ?? "Failed"}: ${message}`);
  process.exit(1);
});
