package devstack

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// sampleToken is what the mock vendor demands at /wants-token.
const sampleToken = "demo-right-token"

// slowAnswer is how long /slow takes.
const slowAnswer = 3 * time.Second

// serveSamples adds the vendors of the sample data: each behaves in one way that a gateway has to cope with.
func serveSamples(mux *http.ServeMux) {
	mux.HandleFunc("POST /v1/rerank", after(30*time.Millisecond, serveRerank))
	mux.HandleFunc("POST /v1/ocr", after(250*time.Millisecond, serveOCR))
	mux.HandleFunc("/flaky/", after(20*time.Millisecond, serveFlaky))
	mux.HandleFunc("/slow/", after(slowAnswer, serveSlow))
	mux.HandleFunc("/wants-token/", serveWantsToken)
	// The same, as another region.
	mux.Handle("/eu/", http.StripPrefix("/eu", mux))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// serveRerank ranks documents by how many words of the question they have, and says what is billed: a search unit for each hundred.
func serveRerank(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Query     string   `json:"query"`
		Documents []string `json:"documents"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil || in.Query == "" {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"message": "query is required"})
		return
	}
	type result struct {
		Index          int     `json:"index"`
		RelevanceScore float64 `json:"relevance_score"`
	}
	results := make([]result, len(in.Documents))
	words := strings.Fields(strings.ToLower(in.Query))
	for i, text := range in.Documents {
		found := 0
		for _, word := range words {
			if strings.Contains(strings.ToLower(text), word) {
				found++
			}
		}
		results[i] = result{i, float64(found) / float64(len(words)+1)}
	}
	answer(w, http.StatusOK, map[string]any{
		"results": results,
		"meta":    map[string]any{"billed_units": map[string]int{"search_units": 1 + len(in.Documents)/100}},
	})
}

// serveOCR reads nothing, and does not always say how many pages it has read.
func serveOCR(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, 1<<20))
	out := map[string]any{"text": "The quick brown fox."}
	if rand.IntN(100) >= 8 {
		out["usage"] = map[string]int{"pages": 1 + rand.IntN(9)}
	}
	answer(w, http.StatusOK, out)
}

// serveFlaky fails for four minutes of ten, most of the time, and below /down always.
func serveFlaky(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/down") || time.Now().Minute()%10 < 4 && rand.IntN(100) < 85 {
		answer(w, http.StatusServiceUnavailable, map[string]string{"message": "overloaded"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

func serveSlow(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]string{"status": "done at last"})
}

// after is a handler that takes a time as a vendor does, half as much again at most.
func after(d time.Duration, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(d + rand.N(d/2))
		defer timer.Stop()
		select {
		case <-r.Context().Done():
		case <-timer.C:
			serve(w, r)
		}
	}
}

func serveWantsToken(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+sampleToken {
		answer(w, http.StatusUnauthorized, map[string]string{"message": "invalid token"})
		return
	}
	answer(w, http.StatusOK, map[string]string{"status": "welcome"})
}
