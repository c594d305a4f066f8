package vectors

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"
)

// manifest lists the other files. It is no recording.
const manifest = "manifest.ndjson"

// read makes an exchange of every file, together with those that it names.
func read(data fs.FS) ([]Exchange, error) {
	var all []Exchange
	used := map[string]bool{manifest: true}
	add := func(name string, parse func(fs.FS, string, []byte) (Exchange, bool, error)) error {
		if used[name] {
			return nil
		}
		text, err := fs.ReadFile(data, name)
		if err != nil {
			return err
		}
		x, ok, err := parse(data, name, text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if ok {
			for _, f := range x.Files {
				used[f] = true
			}
			all = append(all, x)
		}
		return nil
	}
	// What describes an exchange comes first: it takes its body's files with it.
	for _, parse := range []func(fs.FS, string, []byte) (Exchange, bool, error){described, transcript, loose} {
		err := fs.WalkDir(data, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			return add(name, parse)
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Exchange) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// recorded is one file that describes an exchange.
type recorded struct {
	Source  json.RawMessage `json:"source"`
	Request struct {
		content
		Method string `json:"method"`
		URL    string `json:"url"`
	} `json:"request"`
	Response struct {
		content
		Status int    `json:"status"`
		File   string `json:"body_file"`
		Gzip   string `json:"raw_gzip_file"`
	} `json:"response"`
}

type content struct {
	Headers map[string]string `json:"headers"`
	JSON    json.RawMessage   `json:"json"`
	Text    string            `json:"text"`
	Base64  string            `json:"body_b64"`
}

// body is the content in one of its three forms.
func (c *content) body() ([]byte, error) {
	switch {
	case c.JSON != nil:
		var out bytes.Buffer
		err := json.Compact(&out, c.JSON)
		return out.Bytes(), err
	case c.Base64 != "":
		return base64.StdEncoding.DecodeString(c.Base64)
	default:
		return []byte(c.Text), nil
	}
}

func (c *content) list() []Header {
	out := make([]Header, 0, len(c.Headers))
	for name, value := range c.Headers {
		out = append(out, Header{name, value})
	}
	slices.SortFunc(out, func(a, b Header) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// description parses a file that describes an exchange. Others may be JSON as well, or end in .json only.
func description(name string, text []byte) (r recorded, ok bool) {
	if path.Ext(name) != ".json" || !json.Valid(text) {
		return r, false
	}
	err := json.Unmarshal(text, &r)
	return r, err == nil && r.Source != nil && r.Response.Status != 0
}

func described(data fs.FS, name string, text []byte) (x Exchange, ok bool, err error) {
	r, ok := description(name, text)
	if !ok {
		return Exchange{}, false, nil
	}
	x = Exchange{
		Name: name, Vendor: vendor(name), Method: r.Request.Method, URL: r.Request.URL,
		RequestHeaders: r.Request.list(), Status: r.Response.Status, Headers: r.Response.list(), Files: []string{name},
	}
	if x.RequestBody, err = r.Request.body(); err != nil {
		return x, false, err
	}
	beside := func(file string) ([]byte, error) {
		file = path.Join(path.Dir(name), file)
		x.Files = append(x.Files, file)
		return fs.ReadFile(data, file)
	}
	if r.Response.File != "" {
		x.Body, err = beside(r.Response.File)
		x.Stream = streams(r.Response.File)
	} else {
		x.Body, err = r.Response.body()
	}
	if err == nil && r.Response.Gzip != "" {
		x.Gzip, err = beside(r.Response.Gzip)
	}
	return x, true, err
}

const transcriptMark = "httprr trace v1\n"

// transcript reads a request and its answer as they went over the wire, each behind its length.
func transcript(_ fs.FS, name string, text []byte) (x Exchange, ok bool, err error) {
	rest, ok := bytes.CutPrefix(text, []byte(transcriptMark))
	if !ok {
		return Exchange{}, false, nil
	}
	var request, response int
	line, rest, _ := bytes.Cut(rest, []byte("\n"))
	if _, err := fmt.Sscanf(string(line), "%d %d", &request, &response); err != nil {
		return x, false, err
	}
	if request < 0 || response < 0 || request+response > len(rest) {
		return x, false, errors.New("it is shorter than it says")
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(rest[:request])))
	if err != nil {
		return x, false, err
	}
	x = Exchange{Name: name, Vendor: vendor(name), Method: r.Method, URL: r.RequestURI, RequestHeaders: listOf(r.Header), Files: []string{name}}
	if x.RequestBody, err = io.ReadAll(r.Body); err != nil {
		return x, false, err
	}
	a, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(rest[request:request+response])), r)
	if err != nil {
		return x, false, err
	}
	defer a.Body.Close()
	x.Status, x.Headers = a.StatusCode, listOf(a.Header)
	x.Stream = strings.Contains(name, "Stream")
	x.Body, err = io.ReadAll(a.Body)
	return x, true, err
}

// loose makes an exchange of a file that is a body and nothing else.
func loose(_ fs.FS, name string, text []byte) (Exchange, bool, error) {
	kind := "text/plain; charset=utf-8"
	switch ext := path.Ext(name); {
	case ext == ".json":
		kind = "application/json"
	case ext == ".sse", strings.HasPrefix(name, "sse-edge/") && ext == "":
		kind = "text/event-stream; charset=utf-8"
	case ext == ".ndjson":
		kind = "application/x-ndjson"
	case ext == ".bin":
		kind = "application/vnd.amazon.eventstream"
	case ext == ".yaml":
		kind = "application/yaml"
	}
	headers := []Header{{"Content-Type", kind}}
	return Exchange{
		Name: name, Vendor: vendor(name), Method: http.MethodPost, URL: "https://" + vendor(name) + ".example/recorded/" + name,
		RequestHeaders: headers, RequestBody: text, Status: http.StatusOK, Headers: headers, Body: text,
		Stream: streams(name) || strings.HasPrefix(name, "sse-edge/"), Files: []string{name},
	}, true, nil
}

func vendor(name string) string {
	folder, _, _ := strings.Cut(name, "/")
	return folder
}

func streams(name string) bool {
	return slices.Contains([]string{".sse", ".ndjson", ".bin"}, path.Ext(name))
}

func listOf(h http.Header) []Header {
	var out []Header
	for name, values := range h {
		for _, v := range values {
			out = append(out, Header{name, v})
		}
	}
	slices.SortFunc(out, func(a, b Header) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
