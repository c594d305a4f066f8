package adapter

import (
	"crypto/sha256"
	"encoding/hex"
)

// Names are the names of tools as a vendor gets them: the caller's own where the vendor takes it, or another one. The zero value is
// that of a vendor of Chat Completions.
type Names struct {
	Most    int               // characters that a name may have; 0 for 64
	callers map[string]string // by the vendor's names, where they differ
}

const defaultMostName = 64

// Vendors is what the vendor gets for the caller's name of a tool.
func (n *Names) Vendors(name string) string {
	most := n.Most
	if most == 0 {
		most = defaultMostName
	}
	vendors := Identifier(name, most)
	if vendors != name {
		if n.callers == nil {
			n.callers = map[string]string{}
		}
		n.callers[vendors] = name
	}
	return vendors
}

// Callers is the caller's name of a tool that the vendor calls so.
func (n *Names) Callers(vendors string) string {
	if name, ok := n.callers[vendors]; ok {
		return name
	}
	return vendors
}

// keptOfName is how much stays of a name that is replaced: with a mark behind it, it is as long as the strictest vendor takes.
const keptOfName = defaultMostName - 9

// Identifier is a name as vendors take names and identifiers of tools. One that is too long, or has other characters in it than
// those of Identifies, keeps its beginning, by which a model still knows what it stands for, and gets a digest that tells it from
// others. The same name always becomes the same.
func Identifier(name string, most int) string {
	fits := name != "" && len(name) <= most
	for i := 0; fits && i < len(name); i++ {
		fits = Identifies(name[i])
	}
	if fits {
		return name
	}
	short := []byte(name[:min(len(name), keptOfName)])
	for i, c := range short {
		if !Identifies(c) {
			short[i] = '_'
		}
	}
	sum := sha256.Sum256([]byte(name))
	return string(hex.AppendEncode(append(short, '_'), sum[:4]))
}

// Identifies says whether a character may be part of names and identifiers in all schemas.
func Identifies(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}
