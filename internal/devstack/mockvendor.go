package devstack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"io"
	"net"
	"net/http"
	"time"

	"tollgate/internal/id"
)

// mockToken is the credential that the mock vendor demands, as the real one demands its own: a
// request that reached it without passing a gateway is refused.
const mockToken = "demo-bria-token"

// mockVendor stands in for an image generation API and a chat, so that the demo needs no account and no
// network. It answers in the form of Bria's text-to-image calls, with pictures that it draws, and of OpenAI's chat.
type mockVendor struct {
	listener net.Listener
	server   *http.Server
}

// newMockVendor listens where it did before, if it can: endpoints lead there. At is empty for anywhere.
func newMockVendor(ctx context.Context, at string) (*mockVendor, error) {
	const anywhere = "127.0.0.1:0"
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", cmp.Or(at, anywhere))
	if err != nil && at != "" {
		listener, err = lc.Listen(ctx, "tcp", anywhere)
	}
	if err != nil {
		return nil, fmt.Errorf("mock vendor: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/text-to-image/{model...}", serveImages)
	mux.HandleFunc("POST /v1/chat/completions", serveChat)
	serveSamples(mux)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return &mockVendor{listener, &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}}, nil
}

// URL is the base URL of the API.
func (m *mockVendor) URL() string { return "http://" + m.Addr() }

// Addr is its host and port.
func (m *mockVendor) Addr() string { return m.listener.Addr().String() }

// Run serves until Stop.
func (m *mockVendor) Run(context.Context) error {
	if err := m.server.Serve(m.listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Stop finishes requests and ends Run.
func (m *mockVendor) Stop(ctx context.Context) error { return m.server.Shutdown(ctx) }

type generated struct {
	URLs []string `json:"urls"`
	Seed uint64   `json:"seed"`
	UUID string   `json:"uuid"`
}

func serveImages(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	refuse := func(status int, text string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": text})
	}
	if r.Header.Get("api_token") != mockToken {
		refuse(http.StatusUnauthorized, "wrong or missing api_token")
		return
	}
	var in struct {
		Prompt     string `json:"prompt"`
		NumResults int    `json:"num_results"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in); err != nil || in.Prompt == "" {
		refuse(http.StatusUnprocessableEntity, "prompt is required")
		return
	}
	out := struct {
		Result []generated `json:"result"`
	}{}
	for i := range min(max(in.NumResults, 1), 4) {
		h := fnv.New64a()
		fmt.Fprintf(h, "%s %s %d", r.PathValue("model"), in.Prompt, i)
		out.Result = append(out.Result, generated{
			URLs: []string{"data:image/png;base64," + base64.StdEncoding.EncodeToString(draw(h.Sum64()))},
			Seed: h.Sum64() >> 32,
			UUID: id.New("img"),
		})
	}
	_ = json.NewEncoder(w).Encode(out)
}

// draw makes a small picture that depends on the seed alone.
func draw(seed uint64) []byte {
	const side = 48
	palette := color.Palette{}
	for i := range 16 {
		palette = append(palette, color.RGBA{
			R: uint8(seed>>8) ^ uint8(i*16), G: uint8(seed>>24) + uint8(i*11), B: uint8(seed>>40) - uint8(i*7), A: 255,
		})
	}
	img := image.NewPaletted(image.Rect(0, 0, side, side), palette)
	a, b := int(seed%7)+2, int(seed>>16%5)+3
	for y := range side {
		for x := range side {
			img.SetColorIndex(x, y, uint8((x*x/a^y*y/b)/8%16))
		}
	}
	var buf bytes.Buffer
	_ = png.Encode(&buf, img) // a bytes.Buffer does not fail
	return buf.Bytes()
}
