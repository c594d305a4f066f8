package escrow

import (
	"time"

	"tollgate/internal/contract"
	"tollgate/internal/money"
)

// DayOf numbers the calendar day that begins at start: consecutive days have consecutive numbers, however
// many hours they have.
func DayOf(start int64, zone *time.Location) int64 {
	y, m, d := time.Unix(start, 0).In(zone).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// Prior is what the others have taken of a limit that any days consecutive days share: the largest sum
// over those days with day among them. What others took on the same day counts in each of these.
func Prior(day int64, days uint32, taken map[int64]money.Nanos) money.Nanos {
	n := int(max(1, days)) - 1
	after := make([]money.Nanos, n+1) // after[i] is what was taken on the i days that follow
	for i := range n {
		after[i+1] = add(after[i], taken[day+int64(i)+1])
	}
	before := taken[day]
	most := add(before, after[n])
	for i := 1; i <= n; i++ {
		before = add(before, taken[day-int64(i)])
		most = max(most, add(before, after[n-i]))
	}
	return most
}

// series are the windows of one account that may have to be counted together.
type series struct {
	account int64
	gen     uint32
}

type rolling map[series][]contract.Window

// rolling finds the windows of rolling periods. Whoever loads a part of a book loads, with each window of
// a rolling period, all windows that share a span with it: they lie less than Days away.
func (b *Book) rolling() rolling {
	var r rolling
	for w, a := range b.Accounts {
		if a.Days > 0 {
			if r == nil {
				r = rolling{}
			}
			s := series{w.Account, w.Gen}
			r[s] = append(r[s], w)
		}
	}
	return r
}

// refresh makes a window's Prior what the others have taken by now.
func (b *Book) refresh(r rolling, w contract.Window) Account {
	a := b.Accounts[w]
	if a.Days == 0 {
		return a
	}
	taken := map[int64]money.Nanos{}
	for _, v := range r[series{w.Account, w.Gen}] {
		if o := b.Accounts[v]; v != w {
			taken[o.Day] = add(taken[o.Day], o.Alloc)
		}
	}
	a.Prior = Prior(a.Day, a.Days, taken)
	b.Accounts[w] = a
	return a
}

// Free is what can still be granted of a window. Of a rolling period that depends on its other windows.
func (b *Book) Free(w contract.Window) money.Nanos { return b.refresh(b.rolling(), w).Free() }
