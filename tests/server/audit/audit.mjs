// The GraphQL-over-HTTP audits of graphql-http against a running server: node audit.mjs http://host:port/graphql
// The server needs introspection on. Every audit must be ok; a notice or a warning fails like an error.
import { auditServer } from "graphql-http";

const [url] = process.argv.slice(2);

// A query by GET needs a header that no page elsewhere can add.
const fetchFn = (input, init = {}) => fetch(input, { ...init, headers: { ...init.headers, "X-Requested-With": "audit" } });

const results = await auditServer({ url, fetchFn });
const failed = results.filter((result) => result.status !== "ok");
for (const { id, name, status, reason } of failed) {
  console.log(`${status} ${id} ${name}: ${reason}`);
}
console.log(`${results.length - failed.length} of ${results.length} ok`);
process.exitCode = failed.length ? 1 : 0;
