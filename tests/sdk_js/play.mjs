// Plays the scenarios of tests/sdk_py/scenarios.py with the SDKs for JavaScript.
//
// One JSON object per line comes in: {surface, name, key, api, model, headers, streamed}; one goes out for each:
// {answers}, or {error} with a stack.

import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { surface, name, key, api, model, headers, streamed } = JSON.parse(line);
  let reply;
  try {
    const players = await import(`./${surface}.mjs`);
    reply = { answers: await players[name](players.connect(key, api), model, headers, streamed) };
  } catch (error) {
    reply = { error: `${error?.stack ?? error}` };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
