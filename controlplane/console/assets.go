package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// forever is for files whose names change with their content.
const forever = "public, max-age=31536000, immutable"

// assets are the files that pages load, by their path.
type assets struct{ all map[string]*asset }

type asset struct {
	content []byte
	kind    string // media type
	etag    string // without its quotation marks
	hashed  bool   // the name changes with the content

	once    sync.Once // fills what follows
	smaller []byte    // compressed; nil if that is no gain
}

// kinds are the types of what the build makes. What the system says of endings differs from one to the next.
var kinds = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
	".txt": "text/plain; charset=utf-8", ".json": "application/json", ".woff2": "font/woff2",
}

func readAssets(files fs.FS) (*assets, error) {
	a := &assets{map[string]*asset{}}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == indexName {
			return err
		}
		content, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		kind := kinds[path.Ext(name)]
		if kind == "" {
			if kind = mime.TypeByExtension(path.Ext(name)); kind == "" {
				kind = "application/octet-stream"
			}
		}
		a.all["/"+name] = &asset{content: content, kind: kind, etag: fingerprint(content), hashed: strings.HasPrefix(name, "assets/")}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("files of the console: %w", err)
	}
	return a, nil
}

func fingerprint(content []byte) string {
	sum := sha256.Sum256(content)
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}

func (a *assets) has(path string) bool { _, ok := a.all[path]; return ok }

// serve answers with a file. Ranges are of the file as it is: of a compressed one they would be of no use to anybody.
func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	one := a.all[r.URL.Path]
	h := w.Header()
	protect(h, "")
	h.Set("Content-Type", one.kind)
	h.Set("Cache-Control", "no-cache")
	if one.hashed {
		h.Set("Cache-Control", forever)
	}
	h.Set("Vary", "Accept-Encoding")
	content, etag := one.content, one.etag
	if smaller := one.compressed(); smaller != nil && acceptsGzip(r) && r.Header.Get("Range") == "" {
		content, etag = smaller, etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(content)))
	}
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// compressed is the file for those who take it so, or nil. It is made when it is first asked for: a binary that serves no
// browser spends nothing on it.
func (a *asset) compressed() []byte {
	a.once.Do(func() {
		if strings.HasPrefix(a.kind, "font/") || strings.HasPrefix(a.kind, "image/png") {
			return
		}
		var b bytes.Buffer
		z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
		if err != nil {
			return
		}
		if _, err = z.Write(a.content); err == nil {
			err = z.Close()
		}
		if err == nil && b.Len() < len(a.content)*9/10 {
			a.smaller = b.Bytes()
		}
	})
	return a.smaller
}

// acceptsGzip says whether a browser does, and does not say that it would rather not.
func acceptsGzip(r *http.Request) bool {
	others := false
	for _, header := range r.Header.Values("Accept-Encoding") {
		for one := range strings.SplitSeq(header, ",") {
			coding, parameters, _ := strings.Cut(one, ";")
			_, quality, _ := strings.Cut(parameters, "=")
			switch strings.ToLower(strings.TrimSpace(coding)) {
			case "gzip", "x-gzip":
				return !refused(quality)
			case "*":
				others = !refused(quality)
			}
		}
	}
	return others
}

// refused says whether a quality means "not this one".
func refused(quality string) bool {
	q, err := strconv.ParseFloat(strings.TrimSpace(quality), 64)
	return err == nil && q == 0
}
