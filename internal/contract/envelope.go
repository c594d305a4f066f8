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
	return Wrap(v, plain)
}

// Wrap is Encode for a message that is encoded already.
func Wrap(v Version, plain []byte) ([]byte, error) {
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
	v, plain, err := Unwrap(data, nil)
	if err == nil {
		if err = proto.Unmarshal(plain, m); err != nil {
			err = fmt.Errorf("%s: %w", v, err)
		}
	}
	if err != nil {
		return v, fmt.Errorf("%s %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return v, nil
}

// Unwrap checks a configuration value and returns the message in it as it was encoded. The message is in the space that into has, if
// that is enough, which is not to be used for anything else meanwhile.
func Unwrap(data, into []byte) (Version, []byte, error) {
	var env eventv1.ConfigValue
	if err := proto.Unmarshal(data, &env); err != nil {
		return Version{}, nil, err
	}
	v := Version{env.GetEpoch(), env.GetRevision()}
	if env.GetSchema() != Schema {
		return v, nil, fmt.Errorf("%s: schema %d, this version reads %d: upgrade it", v, env.GetSchema(), Schema)
	}
	plain := env.GetPayload()
	switch env.GetCompression() {
	case eventv1.Compression_COMPRESSION_UNSPECIFIED:
	case eventv1.Compression_COMPRESSION_ZSTD:
		var err error
		if plain, err = decoder.DecodeAll(plain, into[:0]); err != nil {
			return v, nil, fmt.Errorf("%s: %w", v, err)
		}
	default:
		return v, nil, fmt.Errorf("%s: unknown compression %d", v, env.GetCompression())
	}
	if xxhash.Sum64(plain) != env.GetChecksum() {
		return v, nil, fmt.Errorf("%s: %w", v, errChecksum)
	}
	return v, plain, nil
}

var errChecksum = errors.New("checksum does not match")
