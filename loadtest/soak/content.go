package main

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
)

// What goes either way is made from a seed that the request names, so that both sides know every byte
// without asking the other.

// noise is an endless text of a seed.
func noise(seed uint64) io.Reader {
	var s [32]byte
	binary.LittleEndian.PutUint64(s[:], seed)
	return rand.NewChaCha8(s)
}

// content is the beginning of it.
func content(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = io.ReadFull(noise(seed), b) // never fails
	return b
}

// question is the JSON that a caller sends.
func question(seed uint64) []byte {
	return fmt.Appendf(nil, `{"seed":%d,"text":"%x"}`, seed, content(seed, 100+int(seed%1900)))
}

// reply is the JSON with which a vendor answers a body.
func reply(seed uint64, sum [sha256.Size]byte, n int64) []byte {
	return fmt.Appendf(nil, `{"seed":%d,"got":"%s","bytes":%d,"text":"%x"}`, seed, hex.EncodeToString(sum[:]), n, content(^seed, 50+int(seed%700)))
}

// event is one of a stream.
func event(seed uint64, i int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d.%d", seed, i))
	return fmt.Appendf(nil, "id: %d\ndata: {\"seq\":%d,\"text\":\"%x\"}\n\n", i, i, sum)
}

// lastEvent ends a stream.
var lastEvent = []byte("event: done\ndata: [DONE]\n\n")
