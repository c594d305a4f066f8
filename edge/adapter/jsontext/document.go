package jsontext

// AppendDocument writes a JSON document as a JSON string: without the space between its tokens, and otherwise as it was written,
// so that numbers and escapes in it stay what they were.
func AppendDocument(dst []byte, doc string) []byte {
	dst = append(dst, '"')
	text := false
	for i := 0; i < len(doc); i++ {
		c := doc[i]
		if text {
			switch c {
			case '"':
				text = false
				dst = append(dst, '\\', '"')
			case '\\':
				// What is escaped here is never more than one character away, and it may be a quote or another backslash.
				dst = append(dst, '\\', '\\')
				if i++; i < len(doc) {
					if doc[i] == '"' || doc[i] == '\\' {
						dst = append(dst, '\\')
					}
					dst = append(dst, doc[i])
				}
			default:
				dst = append(dst, c)
			}
			continue
		}
		switch c {
		case ' ', '\t', '\r', '\n':
		case '"':
			text = true
			dst = append(dst, '\\', '"')
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
