package loop

import (
	"container/heap"
	"time"
)

// timers are the moments at which connections of a lane want to be looked at, for those that
// cannot wait for a tick. They belong to the lane; one timer of the runtime serves them all.
type timers struct {
	next *time.Timer // wakes the lane for the first of them
	moments
}

// A moment is when conn wants to be looked at.
type moment struct {
	at       time.Time
	conn     *laneConn
	draining bool // this is the end of the draining
}

// init says how the lane is woken.
func (ts *timers) init(wake func()) {
	ts.next = time.AfterFunc(time.Hour, wake)
	ts.next.Stop()
}

func (ts *timers) stop() { ts.next.Stop() }

func (ts *timers) add(c *laneConn, d time.Duration, draining bool) {
	at := time.Now().Add(d)
	if len(ts.moments) == 0 || at.Before(ts.moments[0].at) {
		ts.next.Reset(d)
	}
	heap.Push(&ts.moments, moment{at, c, draining})
}

// due returns a moment that has come, or false; then the lane is woken for the first of those
// that are still to come.
func (ts *timers) due() (moment, bool) {
	if len(ts.moments) == 0 {
		return moment{}, false
	}
	if wait := time.Until(ts.moments[0].at); wait > 0 {
		ts.next.Reset(wait)
		return moment{}, false
	}
	return heap.Pop(&ts.moments).(moment), true
}

// moments is a heap, the first moment first.
type moments []moment

func (m moments) Len() int           { return len(m) }
func (m moments) Less(i, j int) bool { return m[i].at.Before(m[j].at) }
func (m moments) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)        { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	last := len(*m) - 1
	x := (*m)[last]
	(*m)[last] = moment{}
	*m = (*m)[:last]
	return x
}
