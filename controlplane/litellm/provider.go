package litellm

import (
	"net/url"
	"strings"
)

// provider is one of LiteLLM's providers that Tollgate can reach: one that speaks OpenAI's API, or Anthropic's.
type provider struct {
	// base is the URL that the vendor documents for SDKs; empty for servers of one's own.
	base string
	// baseVars hold another URL, and keyVars the key, where the file has none; the first that is set counts.
	baseVars, keyVars []string
	// keyless says that it can do without a key.
	keyless bool
	// suffix is added to a base that does not end in it.
	suffix string
	// messages says that it speaks Anthropic Messages, and responses that it speaks OpenAI's Responses beside Chat Completions.
	messages, responses bool
	// template has its meters, and what it understands; if empty, it has openai's meters with a list of its own in the price book.
	template string
	// own says that it is a server of one's own, whose tokens have no price that anybody else knows.
	own bool
}

// atHome says whether a host is the vendor's own, or one of its regions.
func (p provider) atHome(host string) bool {
	u, err := url.Parse(p.base)
	return err == nil && u.Host != "" && !p.own && (host == u.Host || strings.HasSuffix(host, "."+u.Host))
}

// azure is the provider whose URLs name the deployment.
const azure = "azure"

// providers are those that this import knows, by LiteLLM's names.
var providers = map[string]provider{
	"openai":        {base: "https://api.openai.com/v1", baseVars: []string{"OPENAI_BASE_URL", "OPENAI_API_BASE"}, keyVars: []string{"OPENAI_API_KEY"}, responses: true, template: "openai"},
	azure:           {baseVars: []string{"AZURE_API_BASE"}, keyVars: []string{"AZURE_API_KEY", "AZURE_OPENAI_API_KEY"}, template: "azure-openai"},
	"anthropic":     {base: "https://api.anthropic.com", baseVars: []string{"ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"}, keyVars: []string{"ANTHROPIC_API_KEY"}, messages: true, template: "anthropic"},
	"groq":          {base: "https://api.groq.com/openai/v1", baseVars: []string{"GROQ_API_BASE"}, keyVars: []string{"GROQ_API_KEY"}, template: "groq"},
	"deepseek":      {base: "https://api.deepseek.com/v1", baseVars: []string{"DEEPSEEK_API_BASE"}, keyVars: []string{"DEEPSEEK_API_KEY"}, template: "deepseek"},
	"mistral":       {base: "https://api.mistral.ai/v1", baseVars: []string{"MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"}, keyVars: []string{"MISTRAL_API_KEY", "MISTRAL_AZURE_API_KEY"}, template: "mistral"},
	"xai":           {base: "https://api.x.ai/v1", baseVars: []string{"XAI_API_BASE"}, keyVars: []string{"XAI_API_KEY"}, responses: true, template: "xai"},
	"openrouter":    {base: "https://openrouter.ai/api/v1", baseVars: []string{"OPENROUTER_API_BASE"}, keyVars: []string{"OPENROUTER_API_KEY", "OR_API_KEY"}, template: "openrouter"},
	"perplexity":    {base: "https://api.perplexity.ai", baseVars: []string{"PERPLEXITY_API_BASE"}, keyVars: []string{"PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"}, template: "perplexity"},
	"together_ai":   {base: "https://api.together.xyz/v1", baseVars: []string{"TOGETHER_AI_API_BASE"}, keyVars: []string{"TOGETHERAI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"}},
	"fireworks_ai":  {base: "https://api.fireworks.ai/inference/v1", baseVars: []string{"FIREWORKS_API_BASE"}, keyVars: []string{"FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"}},
	"cerebras":      {base: "https://api.cerebras.ai/v1", baseVars: []string{"CEREBRAS_API_BASE"}, keyVars: []string{"CEREBRAS_API_KEY"}},
	"deepinfra":     {base: "https://api.deepinfra.com/v1/openai", baseVars: []string{"DEEPINFRA_API_BASE"}, keyVars: []string{"DEEPINFRA_API_KEY"}},
	"sambanova":     {base: "https://api.sambanova.ai/v1", baseVars: []string{"SAMBANOVA_API_BASE"}, keyVars: []string{"SAMBANOVA_API_KEY"}},
	"nvidia_nim":    {base: "https://integrate.api.nvidia.com/v1", baseVars: []string{"NVIDIA_NIM_API_BASE"}, keyVars: []string{"NVIDIA_NIM_API_KEY"}},
	"moonshot":      {base: "https://api.moonshot.ai/v1", baseVars: []string{"MOONSHOT_API_BASE"}, keyVars: []string{"MOONSHOT_API_KEY"}},
	"hosted_vllm":   {baseVars: []string{"HOSTED_VLLM_API_BASE"}, keyVars: []string{"HOSTED_VLLM_API_KEY"}, keyless: true, template: "vllm", own: true},
	"lm_studio":     {baseVars: []string{"LM_STUDIO_API_BASE"}, keyVars: []string{"LM_STUDIO_API_KEY"}, keyless: true, own: true},
	"custom_openai": {keyVars: []string{"OPENAI_API_KEY"}, own: true},
	"litellm_proxy": {baseVars: []string{"LITELLM_PROXY_API_BASE"}, keyVars: []string{"LITELLM_PROXY_API_KEY"}, keyless: true, own: true},
	"ollama":        {base: "http://localhost:11434", suffix: "/v1", baseVars: []string{"OLLAMA_API_BASE"}, keyVars: []string{"OLLAMA_API_KEY"}, keyless: true, template: "ollama", own: true},
	"ollama_chat":   {base: "http://localhost:11434", suffix: "/v1", baseVars: []string{"OLLAMA_API_BASE"}, keyVars: []string{"OLLAMA_API_KEY"}, keyless: true, template: "ollama", own: true},
}

// elsewhere says of providers that are not imported where what they serve can be had.
var elsewhere = map[string]string{
	"bedrock":   "Amazon Bedrock speaks no schema that Tollgate translates into. `tollgate endpoint create --template bedrock` passes its own API on.",
	"vertex_ai": "Google's own API is no schema that Tollgate translates into. `tollgate endpoint create --template vertex` passes it on.",
	"gemini":    "Google's own API is no schema that Tollgate translates into. `tollgate endpoint create --template gemini` passes it on.",
	"cohere":    "Cohere's own API is no schema that Tollgate translates into. `tollgate endpoint create --template cohere` passes it on.",
	"replicate": "Replicate's own API is no schema that Tollgate translates into. `tollgate endpoint create --template replicate` passes it on.",
	"vllm":      "LiteLLM runs the model in its own process. Serve it with vLLM's server, and write hosted_vllm/ in place of vllm/.",
}

// split takes the provider off the name of a model, as LiteLLM does: the text before the first slash if it is a
// provider's, and for names without one what they begin with.
func split(model, custom string) (name, rest string) {
	if custom != "" {
		return custom, strings.TrimPrefix(model, custom+"/")
	}
	if before, after, ok := strings.Cut(model, "/"); ok {
		return before, after
	}
	lower := strings.ToLower(model)
	for _, prefix := range []string{"gpt-", "chatgpt-", "ft:gpt-", "o1", "o3", "o4", "codex-", "text-embedding-", "dall-e-", "whisper-", "tts-"} {
		if strings.HasPrefix(lower, prefix) {
			return "openai", model
		}
	}
	if strings.HasPrefix(lower, "claude-") {
		return "anthropic", model
	}
	return "", model
}

// chats says whether a model of OpenAI's is one to talk to; others have APIs of their own.
func chats(model string) bool {
	lower := strings.ToLower(model)
	for _, part := range []string{"embedding", "dall-e", "whisper", "tts", "gpt-image", "transcribe", "realtime", "moderation", "sora"} {
		if strings.Contains(lower, part) {
			return false
		}
	}
	return true
}
