package limit

import "testing"

// All addresses together have a bound as well, and one reply is always possible, however large.
func TestReplyBudget(t *testing.T) {
	var a ReplyBudget
	if !a.Begin(1, 2*MaxReplies) {
		t.Error("the first answer of all is refused")
	}
	a.End(1, 2*MaxReplies)
	for i := range MaxReplies / MaxRepliesAddress {
		if !a.Begin(Network(i), MaxRepliesAddress) {
			t.Fatalf("address %d is refused what it may have", i)
		}
		if a.Begin(Network(i), 1) {
			t.Errorf("address %d may have more than it may", i)
		}
	}
	if a.Begin(100, 1) {
		t.Error("all together may have more than they may")
	}
}
