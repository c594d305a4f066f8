package load_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"go.uber.org/goleak"

	"tollgate/loadtest/compare/load"
	"tollgate/loadtest/compare/vendor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startVendor is a vendor with the certificate by which it is known.
func startVendor(t *testing.T) (*vendor.Vendor, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	v, err := vendor.Start(t.Context(), tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := v.Close(); err != nil {
			t.Error(err)
		}
	})
	return v, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func nothing() error { return nil }

// Guarantee: each kind of load gets from the vendor what it expects, counts what it sent, and finds nothing wrong.
func TestLoadsAndVendorAgree(t *testing.T) {
	t.Parallel()
	v, ca := startVendor(t)
	for name, j := range map[string]load.Job{
		"small":    {Kind: load.Closed, Path: "/full/" + vendor.Small, Connections: 3, Body: 1024, Expect: vendor.Length(vendor.Small)},
		"large":    {Kind: load.Closed, Path: "/" + vendor.Large, Connections: 2, Body: 10, Expect: vendor.Length(vendor.Large)},
		"upload":   {Kind: load.Closed, Path: "/" + vendor.Upload, Connections: 2, Body: 1 << 20, Expect: vendor.Length(vendor.Upload)},
		"stream":   {Kind: load.Closed, Path: "/" + vendor.AtOnce, Connections: 2, Expect: vendor.Length(vendor.AtOnce)},
		"TLS":      {Kind: load.Closed, Path: "/" + vendor.Small, Connections: 2, Body: 100, Expect: vendor.Length(vendor.Small), CA: ca, Key: "k"},
		"open":     {Kind: load.Open, Path: "/" + vendor.Small, Connections: 2, Rate: 500, Expect: vendor.Length(vendor.Small)},
		"socket":   {Kind: load.Socket, Path: "/" + vendor.Socket, Connections: 2},
		"listener": {Kind: load.Silent, Path: "/" + vendor.Silent, Connections: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j.Address, j.For = v.Plain, 100*time.Millisecond
			if j.CA != "" {
				j.Address = v.TLS
			}
			r, err := load.Run(j, nothing, nothing)
			if err != nil {
				t.Fatal(err)
			}
			if r.Wrong > 0 || r.Error != "" {
				t.Fatalf("%d wrong: %s", r.Wrong, r.Error)
			}
			// All were used once before they were measured.
			want := r.Done + int64(j.Connections)
			switch j.Kind {
			case load.Socket:
				if r.Messages != want || r.Sent != int64(j.Connections) {
					t.Errorf("%d requests and %d messages of which %d were measured", r.Sent, r.Messages, r.Done)
				}
			case load.Silent:
				if r.Left != int64(j.Connections) || r.Sent != int64(j.Connections) {
					t.Errorf("%d streams of which %d were left, want %d", r.Sent, r.Left, j.Connections)
				}
			case load.Open:
				if r.Done != 50 {
					t.Errorf("%d requests in a tenth of a second at 500/s", r.Done)
				}
				fallthrough
			default:
				if r.Sent != want || r.Done == 0 {
					t.Errorf("%d requests of which %d were measured", r.Sent, r.Done)
				}
			}
		})
	}
}

// Guarantee: requests over HTTP/2 are counted and checked as the others are.
func TestMultiplexed(t *testing.T) {
	t.Parallel()
	answer := strings.Repeat("x", 1500)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.URL.Path != "/a" || r.Header.Get("Authorization") != "Bearer k" || r.ContentLength != 1024 {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write([]byte(answer))
	}))
	server.EnableHTTP2 = true
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS13, Certificates: selfSigned(t)}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	j := load.Job{
		Kind: load.Streams, Address: server.Listener.Addr().String(), Path: "/a", Key: "k", CA: ca,
		Connections: 2, AtOnce: 4, Body: 1024, Expect: len(answer), For: 100 * time.Millisecond,
	}
	r, err := load.Run(j, nothing, nothing)
	if err != nil || r.Wrong > 0 || r.Done == 0 || r.Sent != r.Done+2 {
		t.Errorf("%+v, %v", r, err)
	}
	j.Expect++
	if _, err := load.Run(j, nothing, nothing); err == nil {
		t.Error("a shorter answer than expected was taken")
	}
	j.Expect, j.Path = len(answer), "/b"
	if _, err := load.Run(j, nothing, nothing); err == nil {
		t.Error("an answer of 400 was taken")
	}
}

func selfSigned(t *testing.T) []tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}
}

// Guarantee: an answer of another status, of another length, or that breaks off is not taken for a right one.
func TestWrongAnswersAreSeen(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"status":        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nok",
		"length":        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nokk",
		"no length":     "HTTP/1.1 200 OK\r\n\r\n",
		"bad length":    "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n",
		"broken off":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
		"chunk":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokk\r\n0\r\n\r\n",
		"chunk's size":  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n",
		"no last chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if r, err := against(t, answer); err == nil {
				t.Errorf("it was taken: %+v", r)
			}
		})
	}
	if r, err := against(t, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"); err != nil || r.Sent != 1 {
		t.Errorf("a right answer: %+v, %v", r, err)
	}
	if r, err := against(t, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n"); err != nil || r.Sent != 1 {
		t.Errorf("a right answer in chunks: %+v, %v", r, err)
	}
}

// against has one request answered so. It expects a body of two bytes.
func against(t *testing.T, answer string) (load.Result, error) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write([]byte(answer))
		_ = c.Close()
	}()
	defer func() {
		_ = l.Close()
		<-done
	}()
	return load.Run(load.Job{Kind: load.Closed, Address: l.Addr().String(), Path: "/", Connections: 1, Expect: 2}, nothing, nothing)
}

// Guarantee: a request that could not be sent when it was due counts as late from then on: a proxy that stops for a while
// is late with all that was due meanwhile, and not with one answer only.
func TestOpenLoopOmitsNothing(t *testing.T) {
	t.Parallel()
	const stop = 300 * time.Millisecond
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		for n := 0; ; n++ {
			if _, err := c.Read(make([]byte, 4096)); err != nil {
				return
			}
			if n == 1 { // the first that is measured
				timer := time.NewTimer(stop)
				<-timer.C
			}
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")); err != nil {
				return
			}
		}
	}()
	r, err := load.Run(load.Job{
		Kind: load.Open, Address: l.Addr().String(), Path: "/", Connections: 1, Rate: 100, For: stop, Expect: 2,
	}, nothing, nothing)
	_ = l.Close()
	<-done
	if err != nil || r.Wrong > 0 || r.Done != 30 {
		t.Fatalf("%+v, %v", r, err)
	}
	// 30 were due, one each 10 ms, and none was answered before the 300th: the median was 150 ms late at least.
	if late := time.Duration(hdrhistogram.Import(r.Late).ValueAtQuantile(50)); late < stop*4/10 {
		t.Errorf("the median is %s late", late)
	}
}
