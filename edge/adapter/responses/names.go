package responses

import (
	"crypto/sha256"
	"encoding/hex"
)

const (
	mostToolName   = 64
	keptOfToolName = 55
	mostIdentifier = 64
)

// names are those of functions. Chat Completions takes shorter ones than Responses does.
type names struct {
	callers map[string]string // the vendor's to the caller's, where they differ
}

// vendors is what the vendor gets for the caller's name: one that it takes is left as it is, and another one keeps its
// beginning, so that the model still reads what the function is for, and gets a digest that keeps it apart from others.
func (n *names) vendors(name string) string {
	if len(name) <= mostToolName && plain(name) {
		return name
	}
	head := make([]byte, 0, mostToolName)
	for i := 0; i < len(name) && len(head) < keptOfToolName; i++ {
		if plain(name[i : i+1]) {
			head = append(head, name[i])
		} else {
			head = append(head, '_')
		}
	}
	sum := sha256.Sum256([]byte(name))
	short := string(append(head, '_')) + hex.EncodeToString(sum[:4])
	if n.callers == nil {
		n.callers = map[string]string{}
	}
	n.callers[short] = name
	return short
}

func plain(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return name != ""
}

// shortened is an identifier of a person as a field takes it: safety_identifier has a most length.
func shortened(id, field string) string {
	if field == "safety_identifier" && len(id) > mostIdentifier {
		sum := sha256.Sum256([]byte(id))
		return hex.EncodeToString(sum[:])
	}
	return id
}
