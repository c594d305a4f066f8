import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { create } from "@bufbuild/protobuf";
import { AdapterService, Role, type TranslateStreamRequest, TranslateStreamRequestSchema } from "../src/gen/tollgate/adapter/v1/adapter_pb.js";
import { serve, type Server } from "../src/server.js";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

let server: Server;
let sessions: Http2SessionManager;
let client: Client<typeof AdapterService>;
let stranger: Client<typeof AdapterService>;

before(async () => {
  server = await serve("127.0.0.1", 0, "shared");
  sessions = new Http2SessionManager(server.url);
  const options = { baseUrl: server.url, httpVersion: "2" as const, sessionManager: sessions };
  stranger = createClient(AdapterService, createConnectTransport(options));
  client = createClient(
    AdapterService,
    createConnectTransport({
      ...options,
      interceptors: [
        (next) => (request) => {
          request.header.set("authorization", "Bearer shared");
          return next(request);
        },
      ],
    }),
  );
});

after(async () => {
  sessions.abort();
  await server.stop();
});

const request = (body: unknown, path = "/api/chat") => ({
  role: Role.CLIENT,
  request: { method: "POST", path, body: encode(JSON.stringify(body)) },
});

test("each message of a stream is answered before the next is sent", async () => {
  const translated = await client.translateRequest(request({ model: "m", messages: [{ role: "user", content: "hi" }] }));
  assert.equal(translated.result.case, "request");
  const asked: string[] = [];
  async function* messages(): AsyncIterable<TranslateStreamRequest> {
    const say = (part: TranslateStreamRequest["part"]) => create(TranslateStreamRequestSchema, { part });
    const data = (text: string) => say({ case: "event", value: { $typeName: "tollgate.adapter.v1.Event", type: "", data: encode(text) } });
    yield say({ case: "begin", value: { $typeName: "tollgate.adapter.v1.StreamBegin", role: Role.CLIENT, state: translated.state } });
    asked.push("begin");
    yield data('{"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}');
    asked.push("event");
    yield say({ case: "end", value: { $typeName: "tollgate.adapter.v1.StreamEnd", whole: true } });
  }
  const answers: string[] = [];
  for await (const answer of client.translateStream(messages())) {
    answers.push(answer.response ? `${answer.response.headers[0]?.value}` : answer.events.map((e) => decode(e.data)).join("\n"));
  }
  assert.equal(answers.length, 3);
  assert.equal(answers[0], "application/x-ndjson");
  assert.match(answers[1] ?? "", /"content":"hi"},"done":false/);
  assert.match(answers[2] ?? "", /"done":true,"done_reason":"stop"/);
  assert.deepEqual(asked, ["begin", "event"]);
});

test("a refusal is an answer, and a bug is an error", async () => {
  const refused = await client.translateRequest(request({}, "/api/generate"));
  assert.equal(refused.result.case, "refusal");
  assert.equal(refused.result.case === "refusal" && refused.result.value.status, 404);
  await assert.rejects(client.translateResponse({ role: Role.CLIENT, state: encode("{}"), response: { status: 200, body: encode("x") } }));
});

test("nobody gets in without the token", async () => {
  await assert.rejects(stranger.translateRequest(request({})), (error) => ConnectError.from(error).code === Code.Unauthenticated);
});
