// The driver of Emmett on PostgreSQL: its own store, one for all clients, with its pool. Started by emmett.py with the
// place of the installed packages; speaks the lines of JSON that driver.py describes.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(process.argv[2]);
const { getPostgreSQLEventStore } = require("@event-driven-io/emmett-postgresql");

let clients = [];

// An append of Emmett is to one stream, so a request of several events goes to a stream of its own, in one call.
function load(file) {
  clients = JSON.parse(readFileSync(file, "utf8")).map((requests, client) =>
    requests.map((request, number) => ({
      stream: request.length === 1 ? request[0].subject : `reservation:${client}-${number}`,
      events: request.map(({ type, data, ...metadata }) => ({ type, data, metadata })),
    })),
  );
  return {};
}

async function run(url, seconds) {
  const store = getPostgreSQLEventStore(url, { schema: { autoMigration: "None" } });
  try {
    await store.schema.migrate();
    await store.schema.dangerous.truncate({ resetSequences: true });
    let events = 0;
    const start = performance.now();
    await Promise.all(
      clients.map(async (requests) => {
        for (const request of requests) {
          await store.appendToStream(request.stream, request.events);
          events += request.events.length;
          if (performance.now() - start >= seconds * 1000) return;
        }
      }),
    );
    return { events, seconds: (performance.now() - start) / 1000 };
  } finally {
    await store.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = "load" in command ? load(command.load) : await run(command.url, command.run);
  } catch (error) {
    answer = { error: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
