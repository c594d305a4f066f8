import assert from "node:assert/strict";
import { test } from "node:test";
import { AnswerStream, translateResponse } from "../src/answer.js";
import { Refusal, translateRequest } from "../src/request.js";

const clock = () => new Date("2026-01-02T03:04:05.678Z");
const created_at = "2026-01-02T03:04:05.678Z";
const kept = { model: "gemma3" };
const ask = (request: unknown) => translateRequest("/api/chat", JSON.stringify(request)).chat;

test("a request is translated field by field", () => {
  const chat = ask({
    model: "gemma3",
    messages: [
      { role: "system", content: "be brief" },
      { role: "user", content: "see", images: ["iVBORw0KGgoAAAA", "/9j/4AAQ"] },
      { role: "assistant", content: "", tool_calls: [{ function: { name: "a", arguments: { x: 1 } } }, { function: { name: "b" } }] },
      { role: "tool", tool_name: "b", content: "B" },
      { role: "tool", content: "A" },
    ],
    tools: [{ type: "function", function: { name: "a" } }],
    format: { type: "object" },
    think: "high",
    keep_alive: "5m",
    options: { temperature: 0.5, top_p: 0.9, seed: 7, num_predict: 50, stop: ["END"], num_ctx: 4096, top_k: 40 },
  });
  assert.deepEqual(chat, {
    model: "gemma3",
    messages: [
      { role: "system", content: "be brief" },
      {
        role: "user",
        content: [
          { type: "text", text: "see" },
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgoAAAA" } },
          { type: "image_url", image_url: { url: "data:image/jpeg;base64,/9j/4AAQ" } },
        ],
      },
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id: "call_1", type: "function", function: { name: "a", arguments: '{"x":1}' } },
          { id: "call_2", type: "function", function: { name: "b", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "call_2", content: "B" },
      { role: "tool", tool_call_id: "call_1", content: "A" },
    ],
    stream: true,
    stream_options: { include_usage: true },
    tools: [{ type: "function", function: { name: "a" } }],
    response_format: { type: "json_schema", json_schema: { name: "answer", schema: { type: "object" } } },
    reasoning_effort: "high",
    temperature: 0.5,
    top_p: 0.9,
    seed: 7,
    max_completion_tokens: 50,
    stop: ["END"],
  });
});

test("a request that wants no stream gets none, and no limit is no field", () => {
  const chat = ask({ model: "m", messages: [], stream: false, format: "", options: { num_predict: -1, stop: [] }, tools: [] });
  assert.deepEqual(chat, { model: "m", messages: [] });
});

test("what cannot be translated is refused with the field's name", () => {
  const refused = (path: string, request: unknown, field: string, status = 400) =>
    assert.throws(
      () => translateRequest(path, typeof request === "string" ? request : JSON.stringify(request)),
      (error) => error instanceof Refusal && error.field === field && error.status === status,
    );
  const user = { role: "user", content: "hi" };
  refused("/api/generate", {}, "", 404);
  refused("/api/chat", "{", "");
  refused("/api/chat", "null", "");
  refused("/api/chat", { messages: [] }, "model");
  refused("/api/chat", { model: "m" }, "messages");
  refused("/api/chat", { model: "m", messages: [user], format: "xml" }, "format");
  refused("/api/chat", { model: "m", messages: [user, { ...user, images: ["QUJD"] }] }, "messages[1].images[0]");
  refused("/api/chat", { model: "m", messages: [user, { role: "tool", content: "x" }] }, "messages[1]");
  refused("/api/chat", { model: "m", messages: [{ role: "robot" }] }, "messages[0].role");
});

test("a whole answer keeps its text, thinking, calls, reason and usage", () => {
  const answer = {
    choices: [
      {
        message: {
          content: "hello",
          reasoning_content: "hm",
          tool_calls: [{ id: "c", type: "function", function: { name: "a", arguments: '{"x":1}' } }],
        },
        finish_reason: "length",
      },
    ],
    usage: { prompt_tokens: 7, completion_tokens: 9 },
  };
  const out = translateResponse(kept, 200, JSON.stringify(answer), clock);
  assert.deepEqual(JSON.parse(out.body), {
    model: "gemma3",
    created_at,
    message: {
      role: "assistant",
      content: "hello",
      thinking: "hm",
      tool_calls: [{ id: "c", function: { name: "a", arguments: { x: 1 } } }],
    },
    done: true,
    done_reason: "length",
    prompt_eval_count: 7,
    eval_count: 9,
  });
});

test("an error keeps its status and its words", () => {
  const out = translateResponse(kept, 429, '{"error":{"message":"slow down","type":"rate_limit_error"}}', clock);
  assert.deepEqual(out, { status: 429, body: '{"error":"slow down"}' });
});

/** The lines that chunks come to, and those at the end. */
function run(chunks: unknown[], whole = true): { lines: unknown[]; end: unknown[] } {
  const stream = new AnswerStream(kept, clock);
  const lines = chunks.flatMap((chunk) => stream.event(typeof chunk === "string" ? chunk : JSON.stringify(chunk)));
  return { lines: lines.map((line) => JSON.parse(line) as unknown), end: stream.end(whole).map((line) => JSON.parse(line) as unknown) };
}

const delta = (delta: unknown, finish_reason: string | null = null) => ({ choices: [{ index: 0, delta, finish_reason }] });

test("text comes as it is said, calls when they are whole, and usage with the end", () => {
  const call = (index: number, f: unknown, id?: string) => delta({ tool_calls: [{ index, ...(id ? { id } : {}), function: f }] });
  const { lines, end } = run([
    delta({ role: "assistant", content: "" }),
    delta({ reasoning_content: "hm" }),
    delta({ content: "hel" }),
    delta({ content: "lo" }),
    call(1, { name: "a", arguments: "" }, "c1"),
    call(1, { arguments: '{"x"' }),
    call(2, { name: "b", arguments: "" }, "c2"),
    call(1, { arguments: ":1}" }),
    delta({}, "tool_calls"),
    { choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } },
    "[DONE]",
  ]);
  const line = (message: object) => ({ model: "gemma3", created_at, message: { role: "assistant", ...message }, done: false });
  assert.deepEqual(lines, [line({ content: "", thinking: "hm" }), line({ content: "hel" }), line({ content: "lo" })]);
  assert.deepEqual(end, [
    line({
      content: "",
      tool_calls: [
        { id: "c1", function: { name: "a", arguments: { x: 1 } } },
        { id: "c2", function: { name: "b", arguments: {} } },
      ],
    }),
    {
      model: "gemma3",
      created_at,
      message: { role: "assistant", content: "" },
      done: true,
      done_reason: "stop",
      prompt_eval_count: 1,
      eval_count: 2,
    },
  ]);
});

test("an answer that breaks off or fails is not done", () => {
  assert.deepEqual(run([delta({ content: "hel" }, "stop")], false).end, []);
  assert.throws(() => run([delta({ content: "hel" })]));
  const failed = run([delta({ content: "hel" }), { error: { message: "overloaded" } }]);
  assert.deepEqual(failed.lines[1], { error: "overloaded" });
  assert.deepEqual(failed.end, []);
});
