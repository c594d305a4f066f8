package adapter

import (
	"iter"

	"github.com/tidwall/gjson"
)

// Elements goes through a list, one after another: a list of what is needed of each would be many times as long as the request. What
// is no list and not null stands for one that has it alone.
func Elements(v gjson.Result) iter.Seq2[int, gjson.Result] {
	return func(yield func(int, gjson.Result) bool) {
		if !v.IsArray() {
			if v.Type != gjson.Null {
				yield(0, v)
			}
			return
		}
		i := 0
		v.ForEach(func(_, e gjson.Result) bool {
			i++
			return yield(i-1, e)
		})
	}
}

// Some says whether Elements has any.
func Some(v gjson.Result) bool {
	for range Elements(v) {
		return true
	}
	return false
}
