// Messages with Anthropic's SDK for JavaScript.

import { PNG, Train, need, plain, sameTrain } from "./sdks.mjs";

const { default: Anthropic } = need("@anthropic-ai/sdk");
const { zodOutputFormat } = need("@anthropic-ai/sdk/helpers/zod");
const TOOL = { name: "timetable", description: "Look up a train", input_schema: { type: "object" } };
const QUESTION = [{ role: "user", content: "Which platform, in which city?" }];

export const connect = (apiKey) => new Anthropic({ apiKey, maxRetries: 0 });

function say(client, streamed, headers, request) {
  const given = { max_tokens: 4000, messages: QUESTION, ...request };
  if (!streamed) return client.messages.create(given, { headers });
  return client.messages.stream(given, { headers }).finalMessage();
}

async function converse(ask, turns) {
  let messages = [{ role: "user", content: [{ type: "text", text: "Good evening! ✦ " }] }];
  const answers = [];
  for (let turn = 0; turn < turns; turn++) {
    const said = await ask(messages);
    answers.push(plain(said));
    const results = said.content
      .filter((block) => block.type === "tool_use")
      .map((call) => ({ type: "tool_result", tool_use_id: call.id, content: "ok ✓" }));
    const next = results.length ? results : [{ type: "text", text: "Thanks, and the next one?" }];
    messages = [...messages, { role: "assistant", content: said.content }, { role: "user", content: next }];
  }
  return answers;
}

export function turns(client, model, headers, streamed) {
  return converse((messages) => say(client, streamed, headers, { model, messages, tools: [TOOL] }), 5);
}

export function thinking(client, model, headers, streamed) {
  const more = { tools: [TOOL], thinking: { type: "adaptive" } };
  return converse((messages) => say(client, streamed, headers, { model, messages, ...more }), 4);
}

async function one(client, model, headers, streamed, more) {
  return [plain(await say(client, streamed, headers, { model, ...more }))];
}

export function image(client, model, headers, streamed) {
  const source = { type: "base64", media_type: "image/png", data: PNG };
  const content = [{ type: "image", source }, { type: "text", text: "Which colour?" }];
  return one(client, model, headers, streamed, { messages: [{ role: "user", content }] });
}

export async function structured(client, model, headers, streamed) {
  const given = { model, max_tokens: 4000, messages: QUESTION };
  given.output_config = { format: zodOutputFormat(Train) };
  const said = streamed
    ? await client.messages.stream(given, { headers }).finalMessage()
    : await client.messages.parse(given, { headers });
  sameTrain(said.parsed_output);
  return [plain(said)];
}

export function forced(client, model, headers, streamed) {
  const choice = { type: "tool", name: "timetable" };
  return one(client, model, headers, streamed, { tools: [TOOL], tool_choice: choice });
}
