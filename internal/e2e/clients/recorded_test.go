package clients_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// answer is what the vendor sends.
type answer struct {
	status int
	header http.Header
	body   []byte
	gzip   []byte // the same body as a vendor sent it compressed; nil if there is no such recording
	stream bool
}

// recordedAnswers are the files that have been read.
var recordedAnswers sync.Map

// recorded is the answer in the one recording whose name begins with prefix, such as "openai/chat-text--test".
func recorded(prefix string) (answer, error) {
	if a, ok := recordedAnswers.Load(prefix); ok {
		return a.(answer), nil
	}
	files, err := filepath.Glob(filepath.Join(recordings, prefix+"*.json"))
	if err != nil || len(files) != 1 {
		return answer{}, fmt.Errorf("%d recordings are called %s: %v", len(files), prefix, err)
	}
	a, err := readRecording(files[0])
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", files[0], err)
	}
	recordedAnswers.Store(prefix, a)
	return a, nil
}

func readRecording(file string) (answer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return answer{}, err
	}
	var r struct {
		Response struct {
			Status  int               `json:"status"`
			Headers map[string]string `json:"headers"`
			JSON    json.RawMessage   `json:"json"`
			Text    string            `json:"text"`
			File    string            `json:"body_file"`
			Gzip    string            `json:"raw_gzip_file"`
		} `json:"response"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return answer{}, err
	}
	a := answer{status: r.Response.Status, header: http.Header{}, body: []byte(r.Response.Text)}
	for name, value := range r.Response.Headers {
		switch strings.ToLower(name) {
		case "content-length", "content-encoding", "transfer-encoding", "connection", "date", "set-cookie": // of that connection
		default:
			a.header.Set(name, value)
		}
	}
	if r.Response.JSON != nil {
		var compact bytes.Buffer
		if err := json.Compact(&compact, r.Response.JSON); err != nil {
			return answer{}, err
		}
		a.body = compact.Bytes()
	}
	if r.Response.File != "" {
		a.stream = true
		if a.body, err = os.ReadFile(filepath.Join(filepath.Dir(file), r.Response.File)); err != nil {
			return answer{}, err
		}
	}
	if r.Response.Gzip != "" {
		a.gzip, err = os.ReadFile(filepath.Join(filepath.Dir(file), r.Response.Gzip))
	}
	return a, err
}

// scripts say with which recording a dialect answers a path: plain, as a stream, with tools, or both.
var scripts = map[string]map[string][4]string{
	"openai": {
		"/v1/chat/completions": {
			"openai/chat-text--test-async-chat-completion-with-raw-response", "openai/chat-stream-text--simple-streaming",
			"openai/chat-tools--instructor-instrumentation", "openai/chat-stream-tools--test-chat-tools-async-streaming",
		},
		"/v1/responses":            {"openai/responses--test-responses-with-input-history", "openai/responses-stream--simple-streaming"},
		"/v1/embeddings":           {"openai/embeddings--embeddings-dimensions"},
		"/v1/audio/transcriptions": {"openai/audio--audio-transcription-basic"},
		"/v1/images/generations":   {"openai/images--image-generation-basic"},
		"/refused":                 {"openai/error--test-llm-call-when-stop-is-unsupported"},
	},
	"anthropic": {
		"/v1/messages": {
			"anthropic/messages-text--anthropic-completion", "anthropic/messages-stream-text--test-prompt-with-prefill",
			"anthropic/messages-tools--anthropic-completion-thinking-tool-result", "anthropic/messages-stream-tools--test-stream-events-tool-calls",
		},
		"/v1/messages/count_tokens": {"anthropic/count-tokens--chat-count-tokens-with-anthropic-claude-haiku-4-5-counts-a-staged"},
		"/refused":                  {"anthropic/error--anthropic-completion-error"},
	},
	"cohere": {
		"/v2/chat": {
			"cohere/v2-chat--test-sequential-chain", "cohere/v2-chat-stream--test-sql-agent",
			"cohere/v2-chat--test-langchain-tool-calling-agent", "cohere/v2-chat-stream--test-async-streaming-tool-call",
		},
		"/v2/rerank": {"cohere/rerank--rerank-reranking-with-cohere-rerank-v3-5-orders"},
		"/v2/embed":  {"cohere/embed--test-cohere-v2-embed-legacy"},
		"/refused":   {"cohere/error--chat-real-error-scenarios"},
	},
	"mistral": {
		"/v1/chat/completions": {
			"mistral/chat--chat-streaming-responses", "mistral/chat-stream--chat-streaming-responses",
			"mistral/chat--chat-streaming-responses", "mistral/chat-stream--test-synchronous-streaming",
		},
		"/v1/embeddings": {"mistral/embeddings--test-mistral-embeddings"},
		"/v1/ocr":        {"mistral/ocr--ocr-basic-functionality-mistral-mistral-ocr-latest-extracts"},
		"/refused":       {"mistral/error--chat-error-handling"},
	},
	"gemini": {
		":generateContent": {
			"gemini/generateContent--test-generate-content-with-file-uri", "",
			"gemini/generateContent--agent-math-and-code", "",
		},
		":streamGenerateContent": {
			"gemini/stream-sse--simple-streaming", "gemini/stream-sse--simple-streaming",
			"gemini/stream-sse--testgeminitoolcallstreaming", "gemini/stream-sse--testexec-gemini-toolcall",
		},
		":countTokens":        {"gemini/countTokens--chat-count-tokens"},
		":batchEmbedContents": {"gemini/embed--test-embedding-gemini"},
		"/refused":            {"gemini/error--chat-error-handling"},
	},
	"langfuse": {},
	// The same, and usage in a stream of chat only if that was asked for.
	"openai-exact": {
		"/v1/chat/completions": {
			"openai/chat-text--test-async-chat-completion-with-raw-response", "openai/chat-stream-text--simple-streaming",
			"openai/cached-tokens--chat-completion-prompt-caching-cache-read", "openai/chat-stream-text--test-openai-streaming-cached-prompt-tokens",
		},
		"/v1/responses":            {"openai/responses--test-responses-with-input-history", "openai/responses-stream--simple-streaming"},
		"/v1/embeddings":           {"openai/embeddings--embeddings-dimensions"},
		"/v1/audio/transcriptions": {"openai/audio--audio-transcription-basic"},
		"/v1/images/generations":   {"openai/images--test-image-gen-metrics"},
	},
}

// withoutUsage is a stream of chat without the event that tells its usage and nothing else.
func withoutUsage(stream []byte) []byte {
	var kept []byte
	for event := range bytes.SplitAfterSeq(stream, []byte("\n\n")) {
		if !bytes.Contains(event, []byte(`"choices":[]`)) {
			kept = append(kept, event...)
		}
	}
	return kept
}

// script is the recorded answer of a dialect to a path.
func script(dialect, path string, stream, tools bool) (answer, error) {
	key := path
	if i := strings.LastIndex(path, ":"); i >= 0 && dialect == "gemini" {
		key = path[i:]
	}
	choices, ok := scripts[dialect][key]
	if !ok {
		return answer{}, fmt.Errorf("%s has no %s", dialect, path)
	}
	i := 0
	if stream {
		i |= 1
	}
	if tools {
		i |= 2
	}
	return recorded(choices[i])
}
