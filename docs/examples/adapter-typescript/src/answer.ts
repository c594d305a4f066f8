import type { ChatAnswer, ChatUsage, ToolCall } from "./chat.js";
import type { Kept } from "./request.js";

/** The time of an answer, which tests set. */
export type Clock = () => Date;

/** Makes an answer of Ollama's of a whole one of Chat Completions, also of one that is an error. */
export function translateResponse(kept: Kept, status: number, body: string, clock: Clock): { status: number; body: string } {
  const answer = JSON.parse(body) as ChatAnswer;
  if (status >= 400) {
    return { status, body: errorLine(answer) };
  }
  const choice = answer.choices?.[0];
  if (choice?.message === undefined) {
    throw new Error("an answer of Chat Completions has no choice");
  }
  const said = choice.message;
  const message: Record<string, unknown> = { role: "assistant", content: said.content ?? said.refusal ?? "" };
  if (said.reasoning_content) {
    message["thinking"] = said.reasoning_content;
  }
  if (said.tool_calls?.length) {
    message["tool_calls"] = said.tool_calls.map(translateCall);
  }
  return { status, body: JSON.stringify({ ...head(kept, clock), message, ...last(choice.finish_reason ?? "stop", answer.usage) }) };
}

/** Translates one streamed answer. */
export class AnswerStream {
  private readonly calls = new Map<number, ToolCall>(); // by index, of which vendors leave some out
  private reason: string | undefined;
  private usage: ChatUsage | undefined;
  private failed = false;

  constructor(
    private readonly kept: Kept,
    private readonly clock: Clock,
  ) {}

  /** The lines that an event comes to. */
  event(data: string): string[] {
    if (data === "[DONE]" || this.failed) {
      return []; // what is left to say is said at the end
    }
    const chunk = JSON.parse(data) as ChatAnswer;
    if (chunk.error) {
      this.failed = true;
      return [errorLine(chunk)];
    }
    if (chunk.usage) {
      this.usage = chunk.usage;
    }
    const choice = chunk.choices?.[0];
    if (choice === undefined) {
      return [];
    }
    this.reason = choice.finish_reason ?? this.reason;
    const delta = choice.delta ?? {};
    for (const call of delta.tool_calls ?? []) {
      this.add(call);
    }
    const text = delta.content ?? delta.refusal ?? "";
    if (text === "" && !delta.reasoning_content) {
      return [];
    }
    return [this.line(delta.reasoning_content ? { content: text, thinking: delta.reasoning_content } : { content: text })];
  }

  /** The lines at the end. Of an answer that is not whole there are none, for the last one says that it is done. */
  end(whole: boolean): string[] {
    if (!whole || this.failed) {
      return [];
    }
    if (this.reason === undefined) {
      throw new Error("a stream of Chat Completions ended without a reason");
    }
    // Ollama has calls whole, so that they wait for their arguments.
    const calls = this.calls.size > 0 ? [this.line({ content: "", tool_calls: [...this.calls.values()].map(translateCall) })] : [];
    const message = { role: "assistant", content: "" };
    return [...calls, JSON.stringify({ ...head(this.kept, this.clock), message, ...last(this.reason, this.usage) })];
  }

  private line(message: Record<string, unknown>): string {
    return JSON.stringify({ ...head(this.kept, this.clock), message: { role: "assistant", ...message }, done: false });
  }

  private add(call: ToolCall): void {
    const at = call.index ?? 0;
    const known = this.calls.get(at);
    if (known === undefined) {
      this.calls.set(at, { ...call, function: { ...call.function, arguments: call.function.arguments ?? "" } });
    } else {
      known.function.arguments += call.function.arguments ?? "";
    }
  }
}

function head(kept: Kept, clock: Clock): Record<string, unknown> {
  return { model: kept.model, created_at: clock().toISOString() };
}

function last(reason: string, usage: ChatUsage | null | undefined): Record<string, unknown> {
  const out: Record<string, unknown> = { done: true, done_reason: reason === "length" ? "length" : "stop" };
  if (usage) {
    out["prompt_eval_count"] = usage.prompt_tokens ?? 0;
    out["eval_count"] = usage.completion_tokens ?? 0;
  }
  return out;
}

function translateCall(call: ToolCall): Record<string, unknown> {
  const text = call.function.arguments;
  return { id: call.id, function: { name: call.function.name, arguments: text === "" ? {} : (JSON.parse(text) as unknown) } };
}

function errorLine(answer: ChatAnswer): string {
  return JSON.stringify({ error: answer.error?.message ?? "The model answered with an error." });
}
