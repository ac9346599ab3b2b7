// Gemini with Google's SDK for JavaScript.

import { PNG, Train, all, need, plain, sameTrain } from "./sdks.mjs";

const { FunctionCallingConfigMode, GoogleGenAI, Type } = need("@google/genai");
const DECLARED = {
  name: "timetable",
  description: "Look up a train",
  parametersJsonSchema: { type: "object" },
};
const TOOLS = [{ functionDeclarations: [DECLARED] }];
const QUESTION = "Which platform, in which city?";

export const connect = (apiKey, api) =>
  new GoogleGenAI({ apiKey, ...(api ? { httpOptions: { apiVersion: api } } : {}) });

const config = (headers, more) => ({ ...more, httpOptions: { headers } });

// One answer: its chunks, or the one body, without the head that the SDK adds.
function dumped(chunks) {
  return chunks.map((chunk) => {
    const { sdkHttpResponse, automaticFunctionCallingHistory, ...kept } = plain(chunk);
    return kept;
  });
}

async function said(chat, message, streamed) {
  return streamed ? all(await chat.sendMessageStream({ message })) : [await chat.sendMessage({ message })];
}

function respond({ id, name }) {
  return { functionResponse: { id, name, response: { output: "ok ✓" } } };
}

async function converse(chat, streamed, turns) {
  const answers = [];
  let message = ["Good evening! ✦ "];
  for (let turn = 0; turn < turns; turn++) {
    const answer = await said(chat, message, streamed);
    answers.push(dumped(answer));
    const results = answer.flatMap((chunk) => chunk.functionCalls ?? []).map(respond);
    message = results.length ? results : ["Thanks, and the next one?"];
  }
  return answers;
}

export function turns(client, model, headers, streamed) {
  const more = { tools: TOOLS, systemInstruction: "Be brief." };
  return converse(client.chats.create({ model, config: config(headers, more) }), streamed, 5);
}

// The SDK calls the function itself: one message is three requests, a second one the fourth.
export async function automatic(client, model, headers, streamed) {
  const tool = {
    tool: async () => ({ functionDeclarations: [DECLARED] }),
    callTool: async (calls) => calls.map(respond),
  };
  const chat = client.chats.create({ model, config: config(headers, { tools: [tool] }) });
  const answers = new Map();
  for (const message of ["Which platform?", "Thanks!"]) {
    for (const chunk of await said(chat, message, streamed)) {
      if (!chunk.responseId) continue; // the results of the calls, which the SDK shows, too
      answers.set(chunk.responseId, [...(answers.get(chunk.responseId) ?? []), chunk]);
    }
  }
  return [...answers.values()].map(dumped);
}

export function thinking(client, model, headers, streamed) {
  const more = { tools: TOOLS, thinkingConfig: { includeThoughts: true } };
  return converse(client.chats.create({ model, config: config(headers, more) }), streamed, 4);
}

export const older = thinking;

async function one(client, model, headers, streamed, contents, more) {
  const given = { model, contents, config: config(headers, more) };
  if (streamed) return [dumped(await all(await client.models.generateContentStream(given)))];
  return [dumped([await client.models.generateContent(given)])];
}

export function image(client, model, headers, streamed) {
  const contents = [{ inlineData: { data: PNG, mimeType: "image/png" } }, "Which colour?"];
  return one(client, model, headers, streamed, contents);
}

export async function structured(client, model, headers, streamed) {
  const responseSchema = {
    type: Type.OBJECT,
    properties: { platform: { type: Type.INTEGER }, city: { type: Type.STRING } },
    required: ["platform", "city"],
  };
  const more = { responseMimeType: "application/json", responseSchema };
  const answers = await one(client, model, headers, streamed, QUESTION, more);
  const parts = answers[0].flatMap((chunk) => chunk.candidates[0].content.parts);
  sameTrain(Train.parse(JSON.parse(parts.map((part) => part.text).join(""))));
  return answers;
}

export function json_mode(client, model, headers, streamed) {
  return one(client, model, headers, streamed, QUESTION, { responseMimeType: "application/json" });
}

export function forced(client, model, headers, streamed) {
  const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } };
  return one(client, model, headers, streamed, QUESTION, { tools: TOOLS, toolConfig });
}

export function candidates(client, model, headers, streamed) {
  return one(client, model, headers, streamed, QUESTION, { candidateCount: 2 });
}
