// Follows a conversation and two lists through all that can happen: node test/inbox.mjs. After each step the cache must
// hold what the server answers when asked anew; at no moment may a message stand twice.
// Takes REPLYHQ_URL, REPLYHQ_EMAIL and REPLYHQ_PASSWORD from the environment; without them, the demo's.
import assert from "node:assert/strict";
import { createServer } from "vite";
import WebSocket from "ws";

const url = process.env.REPLYHQ_URL ?? "http://127.0.0.1:8000";
const email = process.env.REPLYHQ_EMAIL ?? "ada@example.com";
const password = process.env.REPLYHQ_PASSWORD ?? "replyhq-demo-only";
const WAIT_MS = 10_000;

// Node as a browser whose page comes from the API: addresses begin at `location`, and the line can be disturbed.
const line = { slow: null, release: null, failures: 0, forgetful: false };
const sockets = new Set();
const cursors = {};
const heard = [];
globalThis.location = new URL(url);
globalThis.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    sockets.add(this);
    this.on("close", () => sockets.delete(this));
    this.on("message", (text) => {
      const [[field, told] = []] = Object.entries(JSON.parse(text).payload?.data ?? {});
      if (!told) return;
      cursors[field] = told.cursor;
      heard.push(told.__typename);
    });
  }
  send(text) {
    const { payload, ...rest } = JSON.parse(text);
    // A cursor of another stream is like one that is too old: nobody can tell what happened since.
    const foreign = payload?.operationName === "ConversationList" ? "messageAdded" : "conversationList";
    if (line.forgetful && rest.type === "subscribe") payload.variables.after = cursors[foreign];
    super.send(JSON.stringify({ ...rest, payload }));
  }
};
const overTheWire = globalThis.fetch;
globalThis.fetch = async (path, options) => {
  if (line.failures > 0) throw new TypeError(`Cannot be reached, ${line.failures--} more times`);
  const answer = await overTheWire(new URL(path, url), options);
  if (line.slow && options.body.includes(`"${line.slow}"`)) await new Promise((go) => (line.release = go));
  return answer;
};

const vite = await createServer({ server: { middlewareMode: true, ws: false }, appType: "custom", logLevel: "error" });
const [{ client }, { keep }, inbox, { CONVERSATION, CONVERSATIONS }] = await Promise.all(
  ["client", "session", "inbox", "inboxOperations"].map((name) => vite.ssrLoadModule(`/src/${name}.ts`)),
);

// Inputs have the name of their mutation, but for those that several share.
const SHARED = {
  addConversationLabel: "ConversationLabelInput",
  removeConversationLabel: "ConversationLabelInput",
  reopenConversation: "ConversationInput",
  resolveConversation: "ConversationInput",
};

async function change(field, input, selection, token) {
  const type = SHARED[field] ?? `${field[0].toUpperCase()}${field.slice(1)}Input`;
  const query = `mutation($input: ${type}!) { ${field}(input: $input) { ${selection} userErrors { code message } } }`;
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const body = JSON.stringify({ query, variables: { input } });
  const response = await overTheWire(`${url}/graphql`, { method: "POST", headers, body });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  assert.deepEqual(data[field].userErrors, []);
  return data[field];
}

async function until(what, holds) {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await new Promise((go) => setTimeout(go, 50))) {
    if (await holds()) return;
  }
  assert.fail(`${what}: not within ${WAIT_MS} ms`);
}

// Who takes part: somebody of the team with this page and another one, and a contact with a device.
const tokens = await change("signIn", { email, password }, "accessToken refreshToken expiresAt");
const team = (field, input, selection = "__typename") => change(field, input, selection, tokens.accessToken);
const { contact } = await team("createContact", { name: "Grace" }, "contact { id }");
const { token } = await team("registerDevice", { contactId: contact.id, platform: "WEB" }, "token");
const device = (field, input, selection = "__typename") => change(field, input, selection, token);
const says = async (body) => (await device("sendOwnMessage", { body }, "message { id conversationId }")).message;
const { label } = await team("createLabel", { name: `VIP ${Date.now()}`, colour: "#DC2626" }, "label { id }");

keep(tokens);
const { conversationId } = await says("Hello");
const own = { query: CONVERSATION, variables: { id: conversationId } };
const open = { query: CONVERSATIONS, variables: { filter: { statuses: ["OPEN"] } } };
const labelled = { query: CONVERSATIONS, variables: { filter: { labelId: label.id } } };
const all = { query: CONVERSATIONS, variables: { filter: {} } };
const screens = { own, open, labelled, all };
const failures = [];
const onError = (error) => failures.push(error);
const stops = [
  inbox.followConversation(client, conversationId, onError),
  ...[open, labelled, all].map(({ variables: { filter } }) => inbox.followList(client, filter, onError)),
];
const shown = () => client.readQuery(own, true)?.conversation.messages.nodes ?? [];
const listed = (list) => client.readQuery(list, true).conversations.nodes.map(({ id }) => id);
const bodies = () => shown().map(({ body }) => body);

// What a screen would show, at each moment that it is shown anew.
const shots = [];
client.watchQuery({ ...own, fetchPolicy: "cache-only" }).subscribe(({ data }) => {
  const nodes = data?.conversation?.messages?.nodes ?? [];
  shots.push(nodes.map(({ id, body }) => ({ id, body })));
  for (const part of [({ id }) => id, ({ clientKey, id }) => clientKey ?? id]) {
    if (new Set(nodes.map(part)).size !== nodes.length) failures.push(new Error(`Twice: ${JSON.stringify(nodes)}`));
  }
});

// Where a list ended is a place in its order, good to go on from also when others have come and gone.
const comparable = (data) => JSON.parse(JSON.stringify(data, (key, value) => (key === "endCursor" ? null : value)));

async function step(name, act, more = () => true) {
  await act();
  let differs;
  const holds = async () => {
    try {
      for (const [screen, query] of Object.entries(screens)) {
        const { data } = await client.query({ ...query, fetchPolicy: "no-cache" });
        assert.deepEqual(comparable(client.readQuery(query, true)), comparable(data), screen);
      }
      return more();
    } catch (difference) {
      differs = difference;
      return false;
    }
  };
  await until(name, holds).catch((late) => assert.fail(differs ?? late));
  assert.deepEqual(failures, []);
  console.log(`ok ${name}`);
}

const last = () => shown().at(-1);
const note = { conversationId, body: "Who am I?" };
const me = (await team("addNote", note, "message { author { id name } }")).message.author;
const answer = (body, clientKey) => inbox.sendOptimistically(client, { conversationId, body, me, clientKey });
const put = { conversationId, labelId: label.id };
const it = { id: conversationId };
const tomorrow = new Date(Date.now() + 86_400_000).toISOString();

try {
  await step("it begins with what is there", () => {}, () => bodies().join() === "Hello,Who am I?");
  await step("the contact writes", () => says("Anybody there?"), () => last().body === "Anybody there?");
  await step("an answer is shown at once, and stands once", async () => {
    shots.length = 0;
    await answer("Yes");
    const { id, body } = shots[0].at(-1);
    assert.deepEqual([id.split(":")[0], body], ["pending", "Yes"]);
  }, () => last().body === "Yes" && last().status !== "QUEUED");
  await step("its event comes before the answer of the mutation", async () => {
    line.slow = "SendMessage";
    const sent = answer("First by websocket");
    const inRoot = () => JSON.stringify(client.cache.extract(false)).includes("First by websocket");
    await until("the event is here", () => inRoot() && line.release);
    assert.equal(bodies().filter((body) => body === "First by websocket").length, 1);
    line.slow = null;
    line.release();
    await sent;
  }, () => last().body === "First by websocket");
  await step("the answer of the mutation comes before its event", async () => {
    sockets.forEach((socket) => socket.pause());
    await answer("First by HTTP");
    assert.equal(last().body, "First by HTTP");
    sockets.forEach((socket) => socket.resume());
  });
  await step("two at once, while the contact writes", () => Promise.all([answer("One"), answer("Two"), says("Three")]));
  await step("one sent again under its key", async () => {
    await answer("Once", "a-key-of-mine");
    await answer("Once", "a-key-of-mine");
  }, () => bodies().filter((body) => body === "Once").length === 1);
  await step("an answer that is refused is taken back", async () => {
    const { userErrors } = await answer("x".repeat(10_001));
    assert.equal(userErrors.length, 1);
  }, () => last().body === "Once");
  await step("a note", () => team("addNote", { conversationId, body: "Careful" }), () => last().isNote);
  const sent = (await team("sendMessage", { conversationId, body: "Teh end" }, "message { id }")).message;
  const ticked = (status) => () => shown().find(({ id }) => id === sent.id)?.status === status;
  const report = (receipt) => () => device("markOwnMessages", { upToMessageId: sent.id, receipt });
  await step("it arrives at the device", report("DELIVERED"), ticked("DELIVERED"));
  await step("the contact reads it", report("READ"), ticked("READ"));
  const edit = { id: sent.id, body: "The end" };
  await step("it is edited", () => team("editMessage", edit), () => last().body === "The end");
  await step("it is deleted", () => team("deleteMessage", { id: sent.id }), () => last().deletedAt && !last().body);
  await step("a label", () => team("addConversationLabel", put), () => listed(labelled).join() === conversationId);
  await step("no label", () => team("removeConversationLabel", put), () => listed(labelled).length === 0);
  await step("how urgent", () => team("setConversationPriority", { ...it, priority: "URGENT" }));
  await step("all read", () => team("markConversationRead", it));
  await step("unread again", () => team("markConversationUnread", it));
  const isOpen = () => listed(open)[0] === conversationId;
  const isElsewhere = () => !listed(open).includes(conversationId);
  await step("snoozed", () => team("snoozeConversation", { ...it, until: tomorrow }), isElsewhere);
  await step("reopened", () => team("reopenConversation", it), isOpen);
  await step("resolved", () => team("resolveConversation", it), isElsewhere);
  await step("the contact comes back", () => says("One more thing"), isOpen);
  await step("the websocket is cut while both sides write", async () => {
    shots.length = 0;
    sockets.forEach((socket) => socket.terminate());
    const missed = ["Missed 1", "Missed 2", "Missed 3"];
    for (const body of missed) await says(body);
    await team("addConversationLabel", put);
    await team("addNote", { conversationId, body: "Missed note" });
  }, () => last().body === "Missed note" && listed(labelled).length === 1);
  assert(shots.some((shot) => shot.at(-1)?.body === "Missed 1"), "resumed event by event, not read anew");
  await step("what was missed cannot be told, and at first not be read either", async () => {
    Object.assign(line, { forgetful: true, failures: 2 });
    heard.length = 0;
    sockets.forEach((socket) => socket.terminate());
    await says("Missed for good");
    await team("removeConversationLabel", put);
    await until("the page has tried", () => line.failures === 0);
    line.forgetful = false;
  }, () => last().body === "Missed for good" && heard.includes("Resync"));
  await step("another conversation enters above", async () => {
    const other = (await team("createContact", { name: "Alan" }, "contact { id }")).contact;
    const { token } = await team("registerDevice", { contactId: other.id, platform: "WEB" }, "token");
    await change("sendOwnMessage", { body: "Me too" }, "__typename", token);
  }, () => listed(open)[1] === conversationId);
  await step("and goes below when this one goes on", () => says("Still here"), isOpen);
} finally {
  stops.forEach((stop) => stop());
  client.stop();
  await vite.close();
}
console.log("Apollo's cache: ok");
process.exit(0);
