package hub

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// When the graces of a crowd have ended, its memory is free again, though one person is still
// there. While one grace still runs, little more than the line of leavings is kept.
func TestCrowdIsForgotten(t *testing.T) {
	const crowd = 20_000
	heap := func() int {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		return int(stats.HeapAlloc)
	}
	now := time.Now()
	var p presence
	p.join(Author{ID: "stays"})
	late := p.join(Author{ID: "goes last"})
	before := heap()
	for i := range crowd {
		p.leave(p.join(Author{ID: fmt.Sprint("of the crowd ", i)}), now)
	}
	p.leave(late, now.Add(time.Second))
	p.change(now)
	p.change(now.Add(leaveGrace))
	if after := heap(); after > before+50*crowd {
		t.Errorf("%d bytes before %d people, %d when all but one of them are forgotten", before, crowd, after)
	}
	p.change(now.Add(leaveGrace + time.Second))
	if after := heap(); after > before+4*crowd {
		t.Errorf("%d bytes before %d people, %d when they are forgotten", before, crowd, after)
	}
	if told := p.snapshot(); told.Count != 1 {
		t.Errorf("%d people are left, want 1", told.Count)
	}
}
