// Package contract is what the services agree on besides protobuf: the names of subjects and
// streams, how keys, accounts and edges map to shards and partitions, and the envelope of
// configuration values. Both ends test against the same golden bytes. It reaches no network and no
// database.
package contract

import (
	"cmp"
	"crypto/sha256"
	"strconv"
	"time"
)

// Streams.
const (
	// StreamConfig keeps the newest value of each configuration subject.
	StreamConfig = "CONFIG"
	// StreamFleet keeps the newest heartbeat of each edge.
	StreamFleet = "FLEET"
	// StreamKeyUse keeps how often each process life of an edge saw secrets that it counts.
	StreamKeyUse = "KEYUSE"
	// StreamSeen keeps for some minutes what edges have seen of requests.
	StreamSeen = "SEEN"
)

// Subjects of the configuration stream. Publishing in the order accounts, keys, routes, head lets a
// reader that has seen the head rely on everything before it.
const (
	ConfigSubjects   = "tollgate.v1.config.>"
	ConfigRoutes     = "tollgate.v1.config.routes"
	ConfigHead       = "tollgate.v1.config.head"
	configKeys       = "tollgate.v1.config.keys."
	configAccounts   = "tollgate.v1.config.accounts."
	ConfigAllKeys    = configKeys + "*"
	ConfigAllAccount = configAccounts + "*"
)

// Other subjects.
const (
	FleetSubjects = "tollgate.v1.fleet.*"
	// SeenSubjects are requests as edges see them end, of which some may be lost, and KeyUseSubjects how often they see secrets
	// that they count.
	SeenSubjects   = "tollgate.v1.seen.*"
	KeyUseSubjects = "tollgate.v1.keyuse.*.*"
	// CustomerSeen is where a control plane answers edges that do not know a customer.
	CustomerSeen = "tollgate.v1.customer"
	// BudgetChanged tells all edges that limits changed.
	BudgetChanged = "tollgate.v1.budget.changed"
)

// IncarnationEnded is what the ledger answers an incarnation that asks for money and has ended: it was
// closed by its own last event, or an operator gave it up.
const IncarnationEnded = "this incarnation has ended"

// KeyShards is how many shards keys are divided into, by the first ten bits of their hash.
const KeyShards = 1024

// AccountShards is how many shards accounts are divided into, by their number.
const AccountShards = 64

// HeartbeatEvery is how often an edge describes itself, and SilentAfter when it counts as gone.
const (
	HeartbeatEvery = 2 * time.Second
	SilentAfter    = 10 * time.Second
)

// ConfigKeys is the subject of a shard of keys.
func ConfigKeys(shard uint32) string { return configKeys + strconv.FormatUint(uint64(shard), 10) }

// ConfigAccounts is the subject of a shard of accounts.
func ConfigAccounts(shard uint32) string {
	return configAccounts + strconv.FormatUint(uint64(shard), 10)
}

// Fleet is the subject of an edge's heartbeats.
func Fleet(edge string) string { return "tollgate.v1.fleet." + edge }

// Lease is the subject on which a partition's leader answers lease requests.
func Lease(part uint32) string { return "tollgate.v1.lease." + strconv.FormatUint(uint64(part), 10) }

// SealedHeader says that a message is sealed, and what for: SealedQuestion is what edges are asked about requests.
const (
	SealedHeader   = "Tollgate-Sealed"
	SealedQuestion = "question"
)

// Explain is where edges answer what they would do with a request: one of them all for an empty name.
func Explain(edge string) string {
	if edge == "" {
		return "tollgate.v1.explain"
	}
	return "tollgate.v1.edge." + edge + ".explain"
}

// EdgeCommand is where one edge does what it is asked to.
func EdgeCommand(edge string) string { return "tollgate.v1.edge." + edge + ".cmd" }

// Seen is the subject of the requests that one edge sees end.
func Seen(edge string) string { return "tollgate.v1.seen." + edge }

// KeyUse is the subject of how often one process life of an edge sees secrets that it counts.
func KeyUse(edge string, inc int64) string {
	return "tollgate.v1.keyuse." + edge + "." + strconv.FormatInt(inc, 10)
}

// EdgeControl is the subject on which the ledger pushes to one edge.
func EdgeControl(edge string) string { return "tollgate.v1.edge." + edge + ".ctl" }

// Spend is the subject of one edge's events of one partition.
func Spend(part uint32, edge string) string {
	return "tollgate.v1.spend." + strconv.FormatUint(uint64(part), 10) + "." + edge
}

// SpendSubjects matches the events of one partition.
func SpendSubjects(part uint32) string { return Spend(part, "*") }

// SpendStream is the stream of one partition's events.
func SpendStream(part uint32) string { return "SPEND_" + strconv.FormatUint(uint64(part), 10) }

// KeyHash is how a key is stored and looked up: SHA-256 of what the caller presents.
func KeyHash(secret []byte) [32]byte { return sha256.Sum256(secret) }

// KeyShardOf is the shard of a key.
func KeyShardOf(hash [32]byte) uint32 { return uint32(hash[0])<<2 | uint32(hash[1])>>6 }

// AccountShardOf is the shard of an account.
func AccountShardOf(account int64) uint32 { return uint32(uint64(account) % AccountShards) }

// PartitionOf is the ledger partition that owns an account, of parts in all. The multiplication
// spreads consecutive numbers.
func PartitionOf(account int64, parts uint32) uint32 {
	const golden = 0x9E3779B97F4A7C15
	return uint32((uint64(account) * golden >> 32) % uint64(parts))
}

// Window is one account in one period: what money is held of and charged to. Start is in Unix
// seconds and 0 for an account that never starts anew.
type Window struct {
	Account int64
	Gen     uint32
	Start   int64
}

// Compare orders account-windows as they are locked: by account, then in time.
func (w Window) Compare(v Window) int {
	return cmp.Or(cmp.Compare(w.Account, v.Account), cmp.Compare(w.Gen, v.Gen), cmp.Compare(w.Start, v.Start))
}

// Draw is an account-window that a request is charged to, and the partition of the ledger that owns it.
type Draw struct {
	Window Window
	Part   uint32
}

// ValidEdgeName says whether name can be part of a subject.
func ValidEdgeName(name string) bool {
	if name == "" || len(name) > 63 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
