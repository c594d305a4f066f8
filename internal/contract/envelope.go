package contract

import (
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
	"google.golang.org/protobuf/proto"

	eventv1 "tollgate/gen/tollgate/event/v1"
)

// Schema is the version of the meaning of configuration values and spend batches. It grows only when
// an old reader would get it wrong; additions do not change it.
const Schema = 1

// maxValue bounds what a configuration value may decompress to.
const maxValue = 256 << 20

// Version orders configuration values.
type Version struct{ Epoch, Revision int64 }

// Newer says whether v replaces w.
func (v Version) Newer(w Version) bool {
	return v.Epoch > w.Epoch || v.Epoch == w.Epoch && v.Revision > w.Revision
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Epoch, v.Revision) }

// Both are safe for concurrent use in their EncodeAll and DecodeAll forms.
var (
	encoder = must(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)))
	decoder = must(zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxValue)))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Encode wraps a configuration value for the stream. The same message at the same version gives the
// same bytes.
func Encode(v Version, m proto.Message) ([]byte, error) {
	plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return proto.MarshalOptions{Deterministic: true}.Marshal(&eventv1.ConfigValue{
		Epoch: v.Epoch, Revision: v.Revision, Schema: Schema,
		Compression: eventv1.Compression_COMPRESSION_ZSTD,
		Checksum:    xxhash.Sum64(plain),
		Payload:     encoder.EncodeAll(plain, nil),
	})
}

// Peek reads only the version of an encoded value.
func Peek(data []byte) (Version, error) {
	var env eventv1.ConfigValue
	if err := proto.Unmarshal(data, &env); err != nil {
		return Version{}, fmt.Errorf("configuration value: %w", err)
	}
	return Version{env.GetEpoch(), env.GetRevision()}, nil
}

// Decode checks and unwraps a configuration value into m.
func Decode(data []byte, m proto.Message) (Version, error) {
	name := m.ProtoReflect().Descriptor().Name()
	var env eventv1.ConfigValue
	if err := proto.Unmarshal(data, &env); err != nil {
		return Version{}, fmt.Errorf("%s: %w", name, err)
	}
	v := Version{env.GetEpoch(), env.GetRevision()}
	if env.GetSchema() != Schema {
		return v, fmt.Errorf("%s %s: schema %d, this version reads %d: upgrade it", name, v, env.GetSchema(), Schema)
	}
	plain := env.GetPayload()
	switch env.GetCompression() {
	case eventv1.Compression_COMPRESSION_UNSPECIFIED:
	case eventv1.Compression_COMPRESSION_ZSTD:
		var err error
		if plain, err = decoder.DecodeAll(plain, nil); err != nil {
			return v, fmt.Errorf("%s %s: %w", name, v, err)
		}
	default:
		return v, fmt.Errorf("%s %s: unknown compression %d", name, v, env.GetCompression())
	}
	if xxhash.Sum64(plain) != env.GetChecksum() {
		return v, fmt.Errorf("%s %s: %w", name, v, errChecksum)
	}
	if err := proto.Unmarshal(plain, m); err != nil {
		return v, fmt.Errorf("%s %s: %w", name, v, err)
	}
	return v, nil
}

var errChecksum = errors.New("checksum does not match")
