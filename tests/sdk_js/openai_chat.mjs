// Chat Completions with OpenAI's SDK for JavaScript.

import { PNG, Train, all, check, need, plain, sameTrain } from "./sdks.mjs";

const { default: OpenAI } = need("openai");
const { zodResponseFormat } = need("openai/helpers/zod");
const TOOL = {
  type: "function",
  function: { name: "timetable", description: "Look up a train", parameters: { type: "object" } },
};
const NOTE = { type: "custom", custom: { name: "note", description: "Write something down" } };
const QUESTION = [{ role: "user", content: "Which platform, in which city?" }];

export const connect = (apiKey) => new OpenAI({ apiKey, maxRetries: 0 });

async function say(client, streamed, headers, request) {
  if (!streamed) return client.chat.completions.create(request, { headers });
  return joined(await all(await client.chat.completions.create({ ...request, stream: true }, { headers })));
}

// What a program without the helper makes of chunks.
function joined(chunks) {
  const choices = [];
  for (const chunk of chunks) {
    for (const { index, delta, finish_reason } of chunk.choices) {
      choices[index] ??= { index, message: { role: "assistant", content: null }, finish_reason: null };
      add(choices[index].message, delta);
      choices[index].finish_reason = finish_reason ?? choices[index].finish_reason;
    }
  }
  const counted = chunks.filter((chunk) => chunk.usage);
  check(counted.length <= 1, "usage twice");
  const heads = new Set(chunks.map(({ id, created, model }) => JSON.stringify([id, created, model])));
  const { id, created, model } = chunks[0];
  const empty = chunks.filter((chunk) => chunk.choices.length === 0).length;
  return { id, created, model, heads: heads.size, empty, choices, usage: counted[0]?.usage ?? null };
}

function add(message, delta) {
  for (const [key, value] of Object.entries(delta)) {
    if (value === null || value === undefined) continue;
    if (key === "tool_calls") {
      message.tool_calls ??= [];
      for (const { index, ...fragment } of value) add((message.tool_calls[index] ??= {}), fragment);
    } else if (typeof value === "object") {
      add((message[key] ??= {}), value);
    } else if (["content", "refusal", "arguments", "input"].includes(key)) {
      message[key] = (message[key] ?? "") + value;
    } else {
      check((message[key] ??= value) === value, `${key} twice`);
    }
  }
}

// As it is sent back. What the helpers parsed is the program's: the API refuses it.
function sendable(message) {
  const { parsed, ...kept } = message;
  kept.tool_calls = kept.tool_calls?.map(({ index, ...call }) => {
    if (!call.function) return call;
    const { parsed_arguments, ...named } = call.function;
    return { ...call, function: named };
  });
  return kept;
}

async function converse(ask, turns) {
  let messages = [
    { role: "developer", content: "Be brief." },
    { role: "user", content: "Good evening! ✦ " },
  ];
  const answers = [];
  for (let turn = 0; turn < turns; turn++) {
    const answer = await ask(messages);
    answers.push(plain(answer));
    const said = sendable(answer.choices[0].message);
    const results = (said.tool_calls ?? []).map((call) => ({
      role: "tool",
      tool_call_id: call.id,
      content: "ok ✓",
    }));
    const next = results.length ? results : [{ role: "user", content: "Thanks, and the next one?" }];
    messages = [...messages, said, ...next];
  }
  return answers;
}

export function turns(client, model, headers, streamed) {
  return converse((messages) => say(client, streamed, headers, { model, messages, tools: [TOOL] }), 5);
}

export function helper(client, model, headers, streamed) {
  return converse((messages) => {
    const given = { model, messages, tools: [TOOL] };
    if (!streamed) return client.chat.completions.create(given, { headers });
    return client.chat.completions.stream(given, { headers }).finalChatCompletion();
  }, 5);
}

export function custom(client, model, headers, streamed) {
  return converse((messages) => say(client, streamed, headers, { model, messages, tools: [NOTE] }), 2);
}

async function one(client, model, headers, streamed, more) {
  return [plain(await say(client, streamed, headers, { model, messages: QUESTION, ...more }))];
}

export function image(client, model, headers, streamed) {
  const content = [
    { type: "text", text: "Which colour?" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${PNG}` } },
  ];
  return one(client, model, headers, streamed, { messages: [{ role: "user", content }] });
}

export async function usage(client, model, headers, streamed) {
  const more = streamed ? { stream_options: { include_usage: true } } : {};
  const answers = await one(client, model, headers, streamed, more);
  check(answers[0].usage, "no usage");
  return answers;
}

export async function structured(client, model, headers, streamed) {
  const given = { model, messages: QUESTION, response_format: zodResponseFormat(Train, "train") };
  const said = streamed
    ? await client.chat.completions.stream(given, { headers }).finalChatCompletion()
    : await client.chat.completions.parse(given, { headers });
  sameTrain(said.choices[0].message.parsed);
  return [plain(said)];
}

export function json_mode(client, model, headers, streamed) {
  return one(client, model, headers, streamed, { response_format: { type: "json_object" } });
}

export function forced(client, model, headers, streamed) {
  const choice = { type: "function", function: { name: "timetable" } };
  return one(client, model, headers, streamed, { tools: [TOOL], tool_choice: choice });
}

export async function choices(client, model, headers, streamed) {
  const answers = await one(client, model, headers, streamed, { n: 3 });
  check(answers[0].choices.map((choice) => choice.index).join() === "0,1,2", "not three choices");
  return answers;
}

export function logprobs(client, model, headers, streamed) {
  return one(client, model, headers, streamed, { logprobs: true });
}

export function refusal(client, model, headers, streamed) {
  return converse((messages) => say(client, streamed, headers, { model, messages }), 2);
}
