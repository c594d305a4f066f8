import type { ChatMessage, ChatRequest } from "./chat.js";

/** Why a request cannot be translated. The caller gets it. */
export class Refusal extends Error {
  constructor(
    readonly field: string,
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

/** What the answer needs to know of the request. */
export interface Kept {
  model: string;
}

interface OllamaCall {
  id?: string;
  function: { name: string; arguments?: Record<string, unknown> };
}

interface OllamaMessage {
  role: string;
  content?: string;
  images?: string[];
  tool_calls?: OllamaCall[];
  tool_name?: string;
  tool_call_id?: string;
}

/** A request of Ollama's POST /api/chat. */
interface OllamaRequest {
  model?: unknown;
  messages?: OllamaMessage[];
  stream?: boolean;
  format?: unknown;
  think?: boolean | string;
  tools?: unknown[];
  options?: Record<string, unknown> | null;
}

/** Options that mean the same under another name, or the same one. Others tune Ollama's own engine, and are left out. */
const options: Record<string, string> = {
  temperature: "temperature",
  top_p: "top_p",
  seed: "seed",
  frequency_penalty: "frequency_penalty",
  presence_penalty: "presence_penalty",
};

/** How the images that models take begin, in base64. */
const images: [string, string][] = [
  ["iVBORw0KGgo", "image/png"],
  ["/9j/", "image/jpeg"],
  ["R0lGOD", "image/gif"],
  ["UklGR", "image/webp"],
];

/** Makes a request of Chat Completions of one of Ollama's. */
export function translateRequest(path: string, body: string): { chat: ChatRequest; kept: Kept } {
  if (!path.endsWith("/api/chat")) {
    throw new Refusal("", `Of Ollama's API, POST /api/chat is served here, and not ${path}.`, 404);
  }
  const request = parse(body);
  if (typeof request.model !== "string" || request.model === "") {
    throw new Refusal("model", "It has to name a model.");
  }
  if (!Array.isArray(request.messages)) {
    throw new Refusal("messages", "It has to be a list of messages.");
  }
  const chat: ChatRequest = { model: request.model, messages: translateMessages(request.messages) };
  if (request.stream !== false) {
    chat["stream"] = true;
    chat["stream_options"] = { include_usage: true };
  }
  if (Array.isArray(request.tools) && request.tools.length > 0) {
    chat["tools"] = request.tools;
  }
  if (request.format === "json") {
    chat["response_format"] = { type: "json_object" };
  } else if (typeof request.format === "object" && request.format !== null) {
    chat["response_format"] = { type: "json_schema", json_schema: { name: "answer", schema: request.format } };
  } else if (request.format) {
    throw new Refusal("format", 'It has to be "json", or a schema.');
  }
  if (request.think) {
    chat["reasoning_effort"] = request.think === true ? "medium" : request.think;
  }
  translateOptions(request.options ?? {}, chat);
  return { chat, kept: { model: request.model } };
}

function parse(body: string): OllamaRequest {
  let request: unknown;
  try {
    request = JSON.parse(body);
  } catch {
    throw new Refusal("", "The request is not JSON.");
  }
  if (typeof request !== "object" || request === null) {
    throw new Refusal("", "The request is not a JSON object.");
  }
  return request;
}

function translateOptions(given: Record<string, unknown>, chat: ChatRequest): void {
  for (const [name, value] of Object.entries(given)) {
    const known = options[name];
    if (known !== undefined && value !== null) {
      chat[known] = value;
    }
  }
  // Negative numbers mean as many as there may be, which Chat Completions says by saying nothing.
  const most = given["num_predict"];
  if (typeof most === "number" && most > 0) {
    chat["max_completion_tokens"] = most;
  }
  const stop = given["stop"];
  if (Array.isArray(stop) ? stop.length > 0 : stop) {
    chat["stop"] = stop;
  }
}

function translateMessages(messages: OllamaMessage[]): ChatMessage[] {
  // Ollama's results of tools need not say which call they answer. They come in the order of the calls.
  let open: { id: string; name: string }[] = [];
  let calls = 0;
  return messages.map((message, i) => {
    const at = `messages[${i}]`;
    const content = message.content ?? "";
    switch (message.role) {
      case "system":
        return { role: "system", content };
      case "user":
        return { role: "user", content: withImages(content, message.images ?? [], at) };
      case "assistant": {
        const out: ChatMessage = { role: "assistant", content };
        const made = message.tool_calls ?? [];
        if (made.length > 0) {
          open = [];
          out.content = content === "" ? null : content;
          out.tool_calls = made.map((call) => {
            const id = call.id || `call_${++calls}`;
            open.push({ id, name: call.function.name });
            return { id, type: "function", function: { name: call.function.name, arguments: JSON.stringify(call.function.arguments ?? {}) } };
          });
        }
        return out;
      }
      case "tool": {
        let answered = open.findIndex((call) => call.id === message.tool_call_id);
        if (answered < 0) answered = open.findIndex((call) => call.name === message.tool_name);
        if (answered < 0 && message.tool_call_id === undefined && message.tool_name === undefined) answered = 0;
        const [call] = answered < 0 ? [] : open.splice(answered, 1);
        if (call === undefined) {
          throw new Refusal(at, "It is the result of a tool that was not called before it.");
        }
        return { role: "tool", tool_call_id: call.id, content };
      }
      default:
        throw new Refusal(`${at}.role`, `There is no role ${JSON.stringify(message.role)}.`);
    }
  });
}

function withImages(text: string, list: string[], at: string): ChatMessage["content"] {
  if (list.length === 0) {
    return text;
  }
  const parts: Exclude<ChatMessage["content"], string | null> = text === "" ? [] : [{ type: "text", text }];
  list.forEach((data, i) => {
    const kind = images.find(([beginning]) => data.startsWith(beginning))?.[1];
    if (kind === undefined) {
      throw new Refusal(`${at}.images[${i}]`, "It has to be a PNG, JPEG, GIF or WebP image in base64.");
    }
    parts.push({ type: "image_url", image_url: { url: `data:${kind};base64,${data}` } });
  });
  return parts;
}
