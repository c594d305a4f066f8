package spool

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/id"
	"tollgate/internal/money"
)

// Format 1 knew one partition, numbered 0, and neither partial records nor attribution. Its records
// are not aligned. Segments of it are read and never written: what recovery adds goes to a new one.
const (
	legacyMagic = "TGSPOOL1"
	legacyHead  = 32

	legacyIntent byte = 1
	legacySettle byte = 2
	legacyClose  byte = 3
)

// legacyBase is the last sequence number before a segment of format 1, or false if it is not one of inc.
func legacyBase(head []byte, inc int64) (base uint64, ok bool) {
	le := binary.LittleEndian
	if len(head) < legacyHead || string(head[:8]) != legacyMagic || int64(le.Uint64(head[8:])) != inc {
		return 0, false
	}
	return le.Uint64(head[16:]), le.Uint32(head[24:]) == crc32.Checksum(head[:24], castagnoli) && le.Uint32(head[28:]) == 0
}

func legacyChecksum(rec []byte) uint32 {
	return crc32.Update(crc32.Checksum(rec[:4], castagnoli), castagnoli, rec[8:])
}

// parseLegacyEvent is the only event of a record, for partition 0.
func parseLegacyEvent(dst []numbered, body []byte) (n uint64, _ []numbered, err error) {
	if len(body) < 16 || binary.LittleEndian.Uint64(body) == 0 {
		return 0, dst, errMalformed
	}
	return binary.LittleEndian.Uint64(body[8:]), append(dst, numbered{seq: binary.LittleEndian.Uint64(body), event: body[16:]}), nil
}

func parseLegacyIntent(body []byte) (e entry, err error) {
	const fixed, window = 8 + 16 + 4 + 8 + 8 + 8, 8 + 4 + 8
	le, i := binary.LittleEndian, &e.intent
	if len(body) < fixed {
		return e, errMalformed
	}
	e.n = le.Uint64(body)
	i.Request = id.Bytes(body[8:24])
	i.Attempt = le.Uint32(body[24:])
	i.At = time.UnixMilli(int64(le.Uint64(body[28:])))
	i.PriceVersion = int64(le.Uint64(body[36:]))
	i.Amount = money.Nanos(le.Uint64(body[44:]))
	e.reserved = i.Amount
	rest := body[fixed:]
	for _, field := range []*string{&i.KeyID, &i.EndpointID} {
		if *field, rest, err = cutText(rest); err != nil {
			return e, err
		}
	}
	if len(rest) < 2 || len(rest)-2 != int(le.Uint16(rest))*window {
		return e, errMalformed
	}
	for rest = rest[2:]; len(rest) > 0; rest = rest[window:] {
		i.Draws = append(i.Draws, contract.Draw{Window: contract.Window{
			Account: int64(le.Uint64(rest)), Gen: le.Uint32(rest[8:]), Start: int64(le.Uint64(rest[12:])),
		}})
	}
	if e.n == 0 || e.reserved < 0 {
		return e, errMalformed
	}
	return e, nil
}
