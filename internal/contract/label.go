package contract

// MaxLabel is the longest name of a customer or of a tag in bytes, and MaxTags how many tags a request
// can have, those of its key included. A key itself has at most MaxKeyTags, which leaves requests some.
const (
	MaxLabel   = 128
	MaxTags    = 8
	MaxKeyTags = 4
)

// ValidLabel says whether name can be that of a customer or of a tag: letters, digits and . _ @ : -,
// with a letter or a digit at both ends.
func ValidLabel(name string) bool {
	if name == "" || len(name) > MaxLabel || !alphanumeric(name[0]) || !alphanumeric(name[len(name)-1]) {
		return false
	}
	for i := range len(name) {
		switch c := name[i]; {
		case alphanumeric(c):
		case c == '.', c == '_', c == '@', c == ':', c == '-':
		default:
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
