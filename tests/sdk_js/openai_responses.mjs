// Responses with OpenAI's SDK for JavaScript.

import { PNG, Train, all, check, need, plain, sameTrain } from "./sdks.mjs";

const { default: OpenAI } = need("openai");
const { zodTextFormat } = need("openai/helpers/zod");
const TOOL = {
  type: "function",
  name: "timetable",
  description: "Look up a train",
  parameters: { type: "object" },
  strict: false,
};
const NOTE = { type: "custom", name: "note", description: "Write something down" };
const OUTPUTS = { function_call: "function_call_output", custom_tool_call: "custom_tool_call_output" };
const LOW = { effort: "low" };
const INPUT = "Which platform, in which city?";

export const connect = (apiKey) => new OpenAI({ apiKey, maxRetries: 0 });

async function say(client, streamed, headers, request) {
  if (!streamed) return client.responses.create(request, { headers });
  return finished(await all(await client.responses.create({ ...request, stream: true }, { headers })));
}

// The response that ends a stream; all that came before must agree with it.
function finished(events) {
  events.forEach((event, number) => check(event.sequence_number === number, `event ${number} is misnumbered`));
  const { type, response } = events.at(-1);
  check(type === "response.completed", `ended with ${type}`);
  const texts = {};
  for (const event of events) {
    if (event.type === "response.output_item.done") {
      const same = JSON.stringify(event.item) === JSON.stringify(response.output[event.output_index]);
      check(same, `item ${event.output_index} is another at the end`);
    } else if (event.type === "response.output_text.delta") {
      const place = [event.output_index, event.content_index];
      texts[place] = (texts[place] ?? "") + event.delta;
    }
  }
  for (const [place, text] of Object.entries(texts)) {
    const [index, number] = place.split(",");
    check(response.output[index].content[number].text === text, `text ${place} is another at the end`);
  }
  return response;
}

// JSON of what is the API's: `output_text` is the SDK's own and left out, since it is made of the rest.
function dumped(answer) {
  const { output_text, ...kept } = plain(answer);
  return kept;
}

const user = (content) => ({ role: "user", content });

function results(answer) {
  return answer.output
    .filter((item) => item.type in OUTPUTS)
    .map((item) => ({ type: OUTPUTS[item.type], call_id: item.call_id, output: "ok ✓" }));
}

async function converse(ask, turns) {
  let items = [user("Good evening! ✦ ")];
  const answers = [];
  for (let turn = 0; turn < turns; turn++) {
    const answer = await ask(items);
    answers.push(dumped(answer));
    const outputs = results(answer);
    items = [...items, ...answer.output, ...(outputs.length ? outputs : [user("Thanks, and the next one?")])];
  }
  return answers;
}

export function turns(client, model, headers, streamed) {
  const more = { tools: [TOOL], reasoning: LOW, instructions: "Be brief." };
  return converse((input) => say(client, streamed, headers, { model, input, ...more }), 5);
}

// What the helper parsed is the program's: the API refuses it.
function bare(item) {
  const { parsed_arguments, ...kept } = item;
  if (Array.isArray(kept.content)) kept.content = kept.content.map(({ parsed, ...part }) => part);
  return kept;
}

export function helper(client, model, headers, streamed) {
  return converse((input) => {
    const given = { model, input: input.map(bare), tools: [TOOL], reasoning: LOW };
    if (!streamed) return client.responses.create(given, { headers });
    return client.responses.stream(given, { headers }).finalResponse();
  }, 5);
}

export function reasoning(client, model, headers, streamed) {
  const more = { tools: [TOOL], store: false, include: ["reasoning.encrypted_content"] };
  more.reasoning = { ...LOW, summary: "auto" };
  return converse((input) => say(client, streamed, headers, { model, input, ...more }), 4);
}

export async function chained(client, model, headers, streamed) {
  let input = [user("Good evening! ✦ ")];
  let previous_response_id;
  const answers = [];
  for (let turn = 0; turn < 5; turn++) {
    const given = { model, input, tools: [TOOL], reasoning: LOW, previous_response_id };
    const answer = await say(client, streamed, headers, given);
    answers.push(dumped(answer));
    previous_response_id = answer.id;
    const outputs = results(answer);
    input = outputs.length ? outputs : [user("Thanks, and the next one?")];
  }
  return answers;
}

export function custom(client, model, headers, streamed) {
  const more = { tools: [NOTE], reasoning: LOW };
  return converse((input) => say(client, streamed, headers, { model, input, ...more }), 2);
}

async function one(client, model, headers, streamed, more) {
  return [dumped(await say(client, streamed, headers, { model, input: INPUT, reasoning: LOW, ...more }))];
}

export function image(client, model, headers, streamed) {
  const content = [
    { type: "input_text", text: "Which colour?" },
    { type: "input_image", image_url: `data:image/png;base64,${PNG}` },
  ];
  return one(client, model, headers, streamed, { input: [{ role: "user", content }] });
}

export async function structured(client, model, headers, streamed) {
  const given = { model, input: INPUT, reasoning: LOW, text: { format: zodTextFormat(Train, "train") } };
  const said = streamed
    ? await client.responses.stream(given, { headers }).finalResponse()
    : await client.responses.parse(given, { headers });
  sameTrain(said.output_parsed);
  return [dumped(said)];
}

export function json_mode(client, model, headers, streamed) {
  return one(client, model, headers, streamed, { text: { format: { type: "json_object" } } });
}

export function forced(client, model, headers, streamed) {
  return one(client, model, headers, streamed, { tools: [TOOL], tool_choice: "required" });
}

export function refusal(client, model, headers, streamed) {
  return converse((input) => say(client, streamed, headers, { model, input, reasoning: LOW }), 2);
}
