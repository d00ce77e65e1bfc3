package server

import (
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
