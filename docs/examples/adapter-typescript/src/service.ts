import { create } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { AnswerStream, translateResponse, type Clock } from "./answer.js";
import {
  AdapterService,
  EventSchema,
  HeaderSchema,
  type Header,
  RefusalSchema,
  RequestSchema,
  ResponseSchema,
  type TranslateRequestRequest,
  Role,
  TranslateRequestResponseSchema,
  TranslateResponseResponseSchema,
  type TranslateStreamRequest,
  type TranslateStreamResponse,
  TranslateStreamResponseSchema,
} from "./gen/tollgate/adapter/v1/adapter_pb.js";
import { type Kept, Refusal, translateRequest } from "./request.js";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** The adapter, as a gateway calls it. */
export function routes(clock: Clock = () => new Date()): (router: ConnectRouter) => void {
  return (router) => {
    router.service(AdapterService, {
      translateRequest: request,
      translateResponse(message) {
        const from = message.response;
        const out = translateResponse(kept(message.state), from?.status ?? 200, decoder.decode(from?.body), clock);
        const response = create(ResponseSchema, {
          status: out.status,
          headers: [header("content-type", "application/json; charset=utf-8")],
          body: encoder.encode(out.body),
        });
        return create(TranslateResponseResponseSchema, { response });
      },
      translateStream: (messages) => stream(messages, clock),
    });
  };
}

function request(message: TranslateRequestRequest) {
  if (message.role !== Role.CLIENT) {
    throw new Error("this adapter translates for clients, and is registered as a vendor's");
  }
  try {
    const { chat, kept } = translateRequest(message.request?.path ?? "", decoder.decode(message.request?.body));
    return create(TranslateRequestResponseSchema, {
      result: {
        case: "request",
        value: create(RequestSchema, {
          method: "POST",
          path: "/chat/completions",
          headers: [header("content-type", "application/json")],
          body: encoder.encode(JSON.stringify(chat)),
        }),
      },
      state: encoder.encode(JSON.stringify(kept)),
    });
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    const value = create(RefusalSchema, { status: error.status, field: error.field, message: error.message });
    return create(TranslateRequestResponseSchema, { result: { case: "refusal", value } });
  }
}

/** Answers each message of a stream with one. */
async function* stream(messages: AsyncIterable<TranslateStreamRequest>, clock: Clock): AsyncIterable<TranslateStreamResponse> {
  let answer: AnswerStream | undefined;
  for await (const { part } of messages) {
    switch (part.case) {
      case "begin": {
        answer = new AnswerStream(kept(part.value.state), clock);
        const headers = [header("content-type", "application/x-ndjson")];
        const response = create(ResponseSchema, { status: part.value.response?.status ?? 200, headers });
        yield create(TranslateStreamResponseSchema, { response });
        break;
      }
      case "event":
        yield lines(answer?.event(decoder.decode(part.value.data)));
        break;
      case "end":
        yield lines(answer?.end(part.value.whole));
        break;
      default:
        throw new Error("a message of a stream says nothing");
    }
  }
}

function lines(list: string[] | undefined): TranslateStreamResponse {
  if (list === undefined) {
    throw new Error("a stream has not begun");
  }
  return create(TranslateStreamResponseSchema, { events: list.map((line) => create(EventSchema, { data: encoder.encode(line) })) });
}

function kept(state: Uint8Array): Kept {
  return JSON.parse(decoder.decode(state)) as Kept;
}

function header(name: string, value: string): Header {
  return create(HeaderSchema, { name, value });
}
