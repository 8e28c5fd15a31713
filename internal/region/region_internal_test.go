package region

import "testing"

// A budget is told of the end of what it was asked for only: not of what was made before there was one, whether it was used before or not.
func TestBudgetThatComesLate(t *testing.T) {
	defer budget.Store(budget.Swap(nil))
	Trim()
	early := [2]*Region{}
	for i := range early {
		var err error
		if early[i], err = New(8192, Plain, false); err != nil {
			t.Fatal(err)
		}
	}
	early[1].Release()
	spent := 0
	SetBudget(func(n int) error {
		spent += n
		return nil
	})
	early[0].Release()
	if spent != 0 {
		t.Errorf("%d bytes are given back that nobody was asked for", -spent)
	}
	again, err := New(8192, Plain, false)
	if err != nil {
		t.Fatal(err)
	}
	if again != early[0] && again != early[1] {
		t.Error("what lay unused was not used")
	}
	if spent != 8192 {
		t.Errorf("%d bytes are spent, want 8192", spent)
	}
	again.Release()
	if spent != 0 {
		t.Errorf("%d bytes are spent in the end", spent)
	}
}
