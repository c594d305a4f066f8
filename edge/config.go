package edge

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"time"

	"tollgate/edge/proxy/nethttp"
	"tollgate/edge/secrets"
	"tollgate/internal/bus"
	"tollgate/internal/config"
	"tollgate/internal/contract"
	"tollgate/internal/seal"
)

// Config is everything an operator can set on an edge.
type Config struct {
	// Name of the edge, unique in the fleet and stable across restarts.
	Name string `yaml:"name"`
	// Region is where it is, in words of the operator's own; empty for nowhere in particular.
	Region string `yaml:"region"`
	// Listen is the address for traffic.
	Listen string `yaml:"listen"`
	// Advertise is the base URL under which others reach it, such as http://10.0.0.7:4000; empty lets it find out.
	Advertise string `yaml:"advertise"`
	// Seen says whether it tells control planes about each request that ends, so that people can watch.
	Seen bool `yaml:"seen"`
	// AdminListen is the address for metrics and probes; empty for none.
	AdminListen string `yaml:"admin_listen"`
	TLS         TLS    `yaml:"tls"`
	// FastLane serves plain HTTP/1.1 with an engine made for it, which costs a fraction of the general one and answers the same; on
	// Linux only. Without it everything goes over the general one.
	FastLane bool `yaml:"fast_lane"`
	// DataDir keeps the spool and the last good configuration. Two edges never share one.
	DataDir string     `yaml:"data_dir"`
	NATS    bus.Config `yaml:"nats"`
	// LedgerURLs are base URLs of ledgers, asked while NATS is away; empty for none.
	LedgerURLs []string `yaml:"ledger_urls"`
	// LedgerToken is what the ledgers demand.
	LedgerToken config.Secret `yaml:"ledger_token"`
	// SealingKey opens vendor credentials; the control plane has the same one.
	SealingKey config.Secret `yaml:"sealing_key"`
	// SecretFiles are the directories in which secrets of the configuration may be files of this edge.
	SecretFiles []string `yaml:"secret_files"`
	// Vault is where secrets of the configuration may be that are in Vault.
	Vault secrets.Vault `yaml:"vault"`
	// AllowPrivateTargets lets targets be on loopback and private addresses.
	AllowPrivateTargets bool `yaml:"allow_private_targets"`
	// LeaseWait is how long a request waits for money from the ledger.
	LeaseWait time.Duration `yaml:"lease_wait"`
	// LeaseAhead is how much money is asked for at a time, in requests like the one that asks: what an
	// edge holds carries it through an outage of the ledger, and is out of the others' reach meanwhile.
	LeaseAhead int64 `yaml:"lease_ahead"`
	// TrustedProxies are networks (10.0.0.0/8) of proxies in front of the edge. What they say in X-Forwarded-For or Forwarded is
	// believed where a key is bound to networks; empty believes nobody.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// MaxBodyBytes limits request bodies where the endpoint does not; 0 for no limit.
	MaxBodyBytes int64 `yaml:"max_body_bytes"`
	// MeterBodyBytes is how much of a request's body is read before the request is sent, where its price looks into it.
	// A longer one is sent on as it comes, and what its price does not see is not held for.
	MeterBodyBytes int64 `yaml:"meter_body_bytes"`
	// ModelBodyBytes limits requests for models, which are read whole before they are sent, and answers that are translated as a whole.
	ModelBodyBytes int64 `yaml:"model_body_bytes"`
	// HeaderTimeout is how long targets may take to answer where the endpoint does not say.
	HeaderTimeout time.Duration `yaml:"header_timeout"`
	// StreamIdle is the longest silence in the middle of an answer.
	StreamIdle time.Duration `yaml:"stream_idle"`
	// Notice is how long a stopping edge says that it is not ready before it refuses requests and closes
	// connections: as long as balancers take to find out; 0 for not at all.
	Notice time.Duration `yaml:"notice"`
	// Drain is the time allowed for running requests when the edge stops.
	Drain time.Duration `yaml:"drain"`
	// SpoolStorage is how the spool lies on disk: mmap, or write where files cannot be mapped well.
	SpoolStorage string `yaml:"spool_storage"`
	// SpoolMaxBytes limits what the spool keeps on disk.
	SpoolMaxBytes int64 `yaml:"spool_max_bytes"`
	// MaxInFlight limits how many requests are served at a time; 0 for no limit.
	MaxInFlight int64 `yaml:"max_in_flight"`
	// HeaderReadTimeout is how long a caller may take for TLS and the headers of a request.
	HeaderReadTimeout time.Duration `yaml:"header_read_timeout"`
	// PeerTimeout is the longest time in which a caller neither sends nor takes a byte it is waited for.
	PeerTimeout time.Duration `yaml:"peer_timeout"`
	// IdleTimeout is how long a caller's connection is kept without a request.
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	// MaxHeaderBytes limits the headers of a request, with its first line.
	MaxHeaderBytes int `yaml:"max_header_bytes"`
	// MaxHeaderLines limits how many headers a request has.
	MaxHeaderLines int `yaml:"max_header_lines"`
}

// trustedProxies are those of a valid configuration.
func (c *Config) trustedProxies() []netip.Prefix {
	out := make([]netip.Prefix, len(c.TrustedProxies))
	for i, text := range c.TrustedProxies {
		out[i] = netip.MustParsePrefix(text).Masked()
	}
	return out
}

// TLS is how callers are spoken to on the address for traffic. Changed files are taken over within
// seconds, without an end to anything that runs.
type TLS struct {
	// CertFile is the certificate that callers are shown, with those that lead to its authority; empty
	// for plain HTTP.
	CertFile string `yaml:"cert_file"`
	// KeyFile is the key of the certificate.
	KeyFile string `yaml:"key_file"`
	// ClientCAFile holds the authorities of which callers must have a certificate; empty if they need none.
	ClientCAFile string `yaml:"client_ca_file"`
	// MinVersion is the oldest version of TLS that callers may use, 1.2 or 1.3.
	MinVersion string `yaml:"min_version"`
}

// versions are those of TLS that can be the oldest.
var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

// Least values of limits on headers: what is below them refuses what common clients send.
const (
	leastHeaderBytes = 4 << 10
	leastMeterBody   = 4 << 10
	leastModelBody   = 64 << 10
	leastHeaderLines = 16
)

// DefaultConfig is the whole story of defaults, but for what has none: the name and the sealing key.
func DefaultConfig() Config {
	server := nethttp.DefaultServerConfig()
	return Config{
		TLS: TLS{MinVersion: "1.2"}, FastLane: true,
		Seen:   true,
		Listen: ":4000", AdminListen: "127.0.0.1:4010", DataDir: ".tollgate/edge",
		NATS:        bus.Config{URL: "nats://127.0.0.1:4222"},
		SecretFiles: []string{"/run/secrets", "/etc/tollgate/secrets"}, Vault: secrets.Vault{Refresh: secrets.DefaultAge},
		LeaseWait: time.Second, LeaseAhead: 16, MaxBodyBytes: 1 << 30, MeterBodyBytes: 4 << 20, ModelBodyBytes: 32 << 20,
		HeaderTimeout: 5 * time.Minute, StreamIdle: 10 * time.Minute,
		Notice: time.Second, Drain: 30 * time.Second, SpoolStorage: spoolMap, SpoolMaxBytes: 4 << 30,
		MaxInFlight: 20000, HeaderReadTimeout: server.HeaderTimeout, PeerTimeout: server.PeerTimeout, IdleTimeout: server.IdleTimeout,
		MaxHeaderBytes: server.MaxHeader, MaxHeaderLines: server.MaxLines,
	}
}

// regionName is what a region is called.
var regionName = regexp.MustCompile(`^[A-Za-z0-9_.-]{0,63}$`)

// Values of SpoolStorage.
const (
	spoolMap   = "mmap"
	spoolWrite = "write"
)

// Validate reports every problem at once, each naming its key.
func (c *Config) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, fmt.Errorf(key+": "+format, args...))
	}
	if c.Name == "" {
		bad("name", "must be set: it tells this edge from the others, before and after a restart")
	} else if !contract.ValidEdgeName(c.Name) {
		bad("name", "%q is not 1 to 63 letters, digits, - and _", c.Name)
	}
	for key, address := range map[string]string{"listen": c.Listen, "admin_listen": c.AdminListen} {
		if key == "admin_listen" && address == "" {
			continue
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			bad(key, "%q is not host:port or :port", address)
		}
	}
	if u, err := url.Parse(c.Advertise); c.Advertise != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil) {
		bad("advertise", "%q is not a base URL such as http://10.0.0.7:4000", c.Advertise)
	}
	if !regionName.MatchString(c.Region) {
		bad("region", "%q is not at most 63 letters, digits, -, _ and dots", c.Region)
	}
	if c.DataDir == "" {
		bad("data_dir", "must be set")
	}
	if err := c.NATS.Validate(); err != nil {
		bad("nats", "%w", err)
	}
	if _, err := seal.Parse(c.SealingKey.Reveal()); err != nil {
		bad("sealing_key", "%w", err)
	}
	for i, raw := range c.LedgerURLs {
		if u, err := url.Parse(raw); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			bad("ledger_urls", "%q (number %d) is not a base URL such as http://ledger:4002", raw, i+1)
		}
	}
	for _, text := range c.TrustedProxies {
		if _, err := netip.ParsePrefix(text); err != nil {
			bad("trusted_proxies", "%q is not a network such as 10.0.0.0/8", text)
		}
	}
	if len(c.LedgerURLs) > 0 && c.LedgerToken.Reveal() == "" {
		bad("ledger_token", "must be set together with ledger_urls")
	}
	for key, d := range map[string]time.Duration{
		"lease_wait": c.LeaseWait, "header_timeout": c.HeaderTimeout, "stream_idle": c.StreamIdle, "drain": c.Drain,
		"header_read_timeout": c.HeaderReadTimeout, "peer_timeout": c.PeerTimeout, "idle_timeout": c.IdleTimeout,
	} {
		if d <= 0 {
			bad(key, "%s is not a positive duration", d)
		}
	}
	if c.Notice < 0 {
		bad("notice", "%s is negative; 0 stands for none", c.Notice)
	}
	for key, n := range map[string]int64{"max_body_bytes": c.MaxBodyBytes, "max_in_flight": c.MaxInFlight} {
		if n < 0 {
			bad(key, "%d is negative; 0 stands for no limit", n)
		}
	}
	if c.MaxHeaderBytes < leastHeaderBytes {
		bad("max_header_bytes", "%d is not at least %d", c.MaxHeaderBytes, leastHeaderBytes)
	}
	if c.MaxHeaderLines < leastHeaderLines {
		bad("max_header_lines", "%d is not at least %d", c.MaxHeaderLines, leastHeaderLines)
	}
	if c.MeterBodyBytes < leastMeterBody {
		bad("meter_body_bytes", "%d is not at least %d", c.MeterBodyBytes, leastMeterBody)
	}
	if c.ModelBodyBytes < leastModelBody {
		bad("model_body_bytes", "%d is not at least %d", c.ModelBodyBytes, leastModelBody)
	}
	c.TLS.validate(bad)
	c.Vault.Validate(bad)
	for _, dir := range c.SecretFiles {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) == "/" {
			bad("secret_files", "%q is not the absolute path of a directory of secrets", dir)
		}
	}
	if c.LeaseAhead <= 0 {
		bad("lease_ahead", "%d is not at least 1", c.LeaseAhead)
	}
	if c.SpoolStorage != spoolMap && c.SpoolStorage != spoolWrite {
		bad("spool_storage", "%q is neither %s nor %s", c.SpoolStorage, spoolMap, spoolWrite)
	}
	if c.SpoolMaxBytes <= 0 {
		bad("spool_max_bytes", "%d is not positive", c.SpoolMaxBytes)
	}
	return errors.Join(errs...)
}

func (t *TLS) validate(bad func(key, format string, args ...any)) {
	if t.CertFile == "" && t.KeyFile != "" {
		bad("tls.cert_file", "must be set together with tls.key_file")
	}
	if t.CertFile != "" && t.KeyFile == "" {
		bad("tls.key_file", "must be set together with tls.cert_file")
	}
	if t.ClientCAFile != "" && t.CertFile == "" {
		bad("tls.client_ca_file", "has no meaning without tls.cert_file: certificates of callers exist in TLS only")
	}
	if versions[t.MinVersion] == 0 {
		bad("tls.min_version", "%q is neither 1.2 nor 1.3", t.MinVersion)
	}
}
