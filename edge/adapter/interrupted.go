package adapter

import "github.com/tidwall/gjson"

// Interrupted is the error of a choice of Chat Completions that ended before it was whole, which is nil for all that
// ended as they should. Vendors say so in finish_reason alone, and some of them with the error beside it.
func Interrupted(choice gjson.Result) *Error {
	switch choice.Get("finish_reason").Str {
	case "error", "abort": // OpenRouter; vLLM and SGLang
		if choice.Get("error").IsObject() {
			return Read(0, "", []byte(choice.Raw))
		}
		return Fail("The vendor broke off its answer and did not say why.")
	case "insufficient_system_resource": // DeepSeek
		return &Error{Kind: Overloaded, Message: "The vendor broke off its answer because it has too much to do."}
	default:
		return nil
	}
}
