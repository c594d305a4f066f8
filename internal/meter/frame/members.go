package frame

// Member is where in a text a field of an object stands: its name, without quotes, and its value.
type Member struct{ name, nameEnd, value, valueEnd int32 }

// Is says whether the field has that name, which is one without a backslash.
func (m Member) Is(text []byte, name string) bool { return string(text[m.name:m.nameEnd]) == name }

// Value is the value as it is written.
func (m Member) Value(text []byte) []byte { return text[m.value:m.valueEnd] }

// mostIndexed is how long a text may be that Members looks at.
const mostIndexed = 1 << 30

// Members adds the fields of a text that is one JSON object, in their order, as long as there is room for them, and says
// how many there are. It says false of what is no object, and of an object for which it does not vouch, because it is deep or
// a name in it has a backslash.
func Members(text []byte, room []Member) (all []Member, count int, ok bool) {
	all = room[:0]
	i := blank(text, 0)
	if i >= len(text) || text[i] != '{' || len(text) > mostIndexed {
		return all, 0, false
	}
	for ; ; count++ {
		if i = blank(text, i+1); i >= len(text) {
			return all, 0, false
		}
		if count == 0 && text[i] == '}' {
			break
		}
		end := short(text, i)
		if end == 0 {
			return all, 0, false
		}
		value := colon(text, end+1)
		if value == 0 {
			return all, 0, false
		}
		behind := over(text, value)
		if behind == 0 {
			return all, 0, false
		}
		if len(all) < cap(room) {
			all = append(all, Member{int32(i + 1), int32(end), int32(value), int32(behind)})
		}
		if i = blank(text, behind); i >= len(text) || text[i] != ',' {
			count++
			break
		}
	}
	return all, count, i < len(text) && text[i] == '}' && blank(text, i+1) == len(text)
}
