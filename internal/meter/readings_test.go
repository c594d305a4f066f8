package meter_test

import (
	"testing"

	"tollgate/internal/meter"
)

// Guarantee: no spelling of a path is read by a free or cheaper meter, or by none, and done by the target as what another meter
// prices; how paths are usually written changes nothing.
func TestPathsThatTargetsReadInAnotherWay(t *testing.T) {
	t.Parallel()
	plan := parse(t, `
unmatched: free
fallback: "1"
meters:
- {name: chat, match: {methods: [POST], path: '^/v1/chat/completions$'}, base: "1"}
- {name: model, match: {methods: [POST], path: '^/model/[^/]+/invoke$'}, base: "1"}
- {name: gemini, match: {methods: [POST], path: '/models/[^/:]+:generateContent$'}, base: "1"}
- {name: slashed, match: {methods: [POST], path: '^/items/$'}, base: "1"}
- {name: files, match: {path: '^/v1/(files|models)(/|$)'}, free: true}
- {name: upload, match: {path: '^/upload/'}, free: true}
- {name: proxy, match: {path: '^/proxy/https://'}, free: true}
- {name: assistants, match: {path: '^/chat/'}, free: true}
`)
	for path, want := range map[string]bool{
		"/v1/chat/completions":     true,
		"/v1/files":                true,
		"/v1/files/":               true,
		"/v1/files/file-aBC":       true,
		"/v1/files/a%20b.txt":      true,
		"/v1/files/a..b/.hidden":   true,
		"/items/":                  true,
		"/elsewhere":               true,
		"/proxy/https://x.com/a/b": true,
		"/model/arn%3Aaws%3Abedrock%2Fanthropic.claude-V2/invoke":      true,
		"/v1beta/models/gemini:generateContent":                        true,
		"/v1/files/../chat/completions":                                false,
		"/v1/files/%2e%2e/chat/completions":                            false,
		"/v1/files/..%2fchat/completions":                              false,
		"/v1/files/..%5Cchat/completions":                              false,
		`/v1/files/..\chat/completions`:                                false,
		"/v1/files/..;x/chat/completions":                              false,
		"/v1/files/%zz/../../chat/completions":                         false,
		"/v1/%63hat/completions":                                       false,
		"/v1/chat%2Fcompletions":                                       false,
		"/v1//chat/completions":                                        false,
		"/v1/./chat/completions":                                       false,
		"/v1/chat/completions/":                                        false,
		"/v1/chat/completions;x":                                       false,
		"/V1/Chat/Completions":                                         false,
		"/v1/Chat%2fcompletions":                                       false,
		"/upload/../v1beta/models/gemini-2.5-pro%3AgenerateContent":    false,
		"/upload/v1beta/models/gemini-2.5-pro%3AgenerateContent":       false,
		"/upload/v1beta%2Fmodels/gemini-2.5-pro%3agenerateContent%2f/": false,
	} {
		r := &meter.Request{Method: "POST", Path: path}
		if got := plan.Agreed(plan.Match(r), r); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
