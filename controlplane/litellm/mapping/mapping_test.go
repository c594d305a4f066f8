package mapping_test

import (
	"regexp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tollgate/controlplane/litellm/mapping"
	controlv1 "tollgate/gen/tollgate/control/v1"
)

// Guarantee: whatever text LiteLLM has for a name, what is made of it is a name here or nothing, and a tag always is one.
func TestNamesAreNames(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^([a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)?$`)
	tag := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@:-]{0,126}[A-Za-z0-9])?$`)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		n := rapid.IntRange(1, 100000).Draw(t, "n")
		if got := mapping.Name(text); !name.MatchString(got) {
			t.Fatalf("Name(%q) = %q", text, got)
		}
		if got := mapping.Name(mapping.Name(text)); got != mapping.Name(text) {
			t.Fatalf("a name changes: %q", got)
		}
		if base := mapping.Name(text); base != "" && !name.MatchString(mapping.Numbered(base, n)) {
			t.Fatalf("Numbered = %q", mapping.Numbered(base, n))
		}
		if got := mapping.Tag(mapping.UserTag, text); !tag.MatchString(got) {
			t.Fatalf("Tag(%q) = %q", text, got)
		}
		for _, got := range []string{
			mapping.Budget("key", text), mapping.Soft("team", text), mapping.Window("tag", text, "30d"),
			mapping.Limit("customer", text, controlv1.LimitKind_LIMIT_KIND_CONCURRENT),
		} {
			if got == "" || !name.MatchString(got) {
				t.Fatalf("%q is no name", got)
			}
		}
	})
}

// Guarantee: texts that differ only in what is left out of tags never share one.
func TestTagsStayApart(t *testing.T) {
	t.Parallel()
	if a, b := mapping.Tag(mapping.UserTag, "a/b"), mapping.Tag(mapping.UserTag, "a b"); a == b {
		t.Errorf("both are %q", a)
	}
	if got := mapping.Tag(mapping.UserTag, "alice@example.com"); got != "user:alice@example.com" {
		t.Errorf("%q", got)
	}
}

// Guarantee: LiteLLM's durations become the periods that reset when theirs do, and those without a counterpart none.
func TestPeriods(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "PERIOD_TOTAL", "1h": "PERIOD_HOUR", "60m": "PERIOD_HOUR", "3600s": "PERIOD_HOUR", "24h": "PERIOD_DAY", "1d": "PERIOD_DAY",
		"7d": "PERIOD_WEEK", "1w": "PERIOD_WEEK", "30d": "PERIOD_MONTH", "1mo": "PERIOD_MONTH", "10d": "PERIOD_ROLLING", "2mo": "PERIOD_ROLLING",
		"30m": "", "0d": "", "1y": "", "1.5d": "", "400d": "", "99999999999d": "",
	} {
		got, ok := mapping.PeriodOf(text)
		if ok != (want != "") || ok && got.Period.String() != want {
			t.Errorf("%q: %v %v, want %q", text, got, ok, want)
		}
		if again, ok2 := mapping.PeriodOf(got.Duration()); ok && (!ok2 || again != got) {
			t.Errorf("%q is shown as %q, which is %v", text, got.Duration(), again)
		}
	}
}

// Guarantee: a lifetime ends where LiteLLM's does.
func TestLifetimes(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]string{
		"30s": "2026-01-31T12:00:30Z", "30m": "2026-01-31T12:30:00Z", "30h": "2026-02-01T18:00:00Z", "30d": "2026-03-02T12:00:00Z", "1w": "2026-02-07T12:00:00Z",
	} {
		if got, ok := mapping.Lifetime(text, from); !ok || got.Format(time.RFC3339) != want {
			t.Errorf("%q: %v %v, want %s", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "-1d", "1y", "999999999d", "999999999mo", "999999999h"} {
		if got, ok := mapping.Lifetime(text, from); ok {
			t.Errorf("%q is %v", text, got)
		}
	}
}
