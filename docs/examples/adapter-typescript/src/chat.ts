// Chat Completions, as far as this adapter reads and writes it.

export interface ToolCall {
  index?: number;
  id?: string;
  type?: "function";
  function: { name?: string; arguments: string };
}

export interface ChatMessage {
  role: string;
  content: string | null | ({ type: "text"; text: string } | { type: "image_url"; image_url: { url: string } })[];
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  [field: string]: unknown;
}

export interface ChatUsage {
  prompt_tokens?: number;
  completion_tokens?: number;
}

interface Said {
  content?: string | null;
  refusal?: string | null;
  reasoning_content?: string | null;
  tool_calls?: ToolCall[];
}

/** An answer, or one chunk of a streamed one. */
export interface ChatAnswer {
  choices?: { message?: Said; delta?: Said; finish_reason?: string | null }[];
  usage?: ChatUsage | null;
  error?: { message?: string };
}
