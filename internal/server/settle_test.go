package server

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// Memory is given back once a storm of handshakes is over, not while it lasts, and a breeze is none.
func TestSettling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s settling
		gust := func(n int) {
			for range n {
				s.note()
			}
		}
		gust(storm - 1)
		if s.watched.Load() {
			t.Error("a few handshakes are taken for a storm")
		}
		gust(1)
		for range 3 {
			time.Sleep(stormCheck / 2)
			gust(storm)
			time.Sleep(stormCheck / 2)
			synctest.Wait()
			if s.handshakes.Load() == 0 {
				t.Error("memory was given back in the middle of a storm")
			}
		}
		time.Sleep(stormCheck / 2)
		gust(breeze)
		time.Sleep(stormCheck / 2)
		synctest.Wait()
		if n := s.handshakes.Load(); n != 0 || s.watched.Load() {
			t.Errorf("%d handshakes are still counted after the storm", n)
		}
	})
}

// Garbage may gather in the first ten seconds of a storm, and for as long as it is a gale; unless somebody wants it otherwise.
func TestCollectLessInAGale(t *testing.T) {
	percent := func() int { // there is no other way to ask
		is := debug.SetGCPercent(usualGC)
		debug.SetGCPercent(is)
		return is
	}
	for _, tt := range []struct{ set, gale int }{{usualGC, galeGC}, {70, 70}, {-1, -1}} {
		synctest.Test(t, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(tt.set))
			var one, other settling
			check := func(when string, want int) {
				t.Helper()
				synctest.Wait()
				if got := percent(); got != want {
					t.Errorf("set to %d, %s it is %d, want %d", tt.set, when, got, want)
				}
			}
			gust := func(s *settling, n int) {
				for range n {
					s.note()
				}
			}
			gust(&one, storm-1)
			check("before", tt.set)
			gust(&one, 1)
			check("in a storm", tt.gale)
			gust(&one, gale)
			time.Sleep(stormCheck)
			check("in a gale", tt.gale)
			gust(&other, storm)
			gust(&other, gale)
			gust(&one, gale-1)
			time.Sleep(stormCheck)
			check("in a gale of another server", tt.gale)
			gust(&other, gale-1)
			time.Sleep(stormCheck)
			check("in a mere storm", tt.set)
			time.Sleep(3 * stormCheck)
			check("when it is over", tt.set)
		})
	}
}
