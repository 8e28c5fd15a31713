package wire

import (
	"reflect"
	"testing"
)

// A handle is made ahead for a task if the two before it asked for that type and no other, and is handed out once.
func TestMadeAhead(t *testing.T) {
	a, b := reflect.TypeFor[[3]*int](), reflect.TypeFor[[5]*int]()
	for name, tc := range map[string]struct {
		tasks [][]reflect.Type
		made  bool // ahead of the last one
	}{
		"never asked":        {[][]reflect.Type{{}, {}}, false},
		"the first":          {[][]reflect.Type{{a}}, false},
		"the third":          {[][]reflect.Type{{a}, {a}, {a}}, true},
		"by turns":           {[][]reflect.Type{{a}, {b}, {a}, {b}, {a}}, false},
		"two types":          {[][]reflect.Type{{a, b}, {a, b}, {a, b}}, false},
		"twice one type":     {[][]reflect.Type{{b, b}, {b, b}, {b, b}}, true},
		"another since":      {[][]reflect.Type{{a}, {a}, {b}}, true}, // nobody takes it
		"none in between":    {[][]reflect.Type{{a}, {a}, {}, {a}}, true},
		"another, and again": {[][]reflect.Type{{a}, {a}, {b}, {a}}, false},
	} {
		p := &Parcel{}
		for i, types := range tc.tasks {
			made := p.ahead
			if last := i == len(tc.tasks)-1; last && (made != nil) != tc.made {
				t.Errorf("%s: made ahead: %t, want %t", name, made != nil, tc.made)
			}
			for k, of := range types {
				got := p.New(of)
				if took := got == made; took != (made != nil && k == 0 && of == p.aheadOf) {
					t.Errorf("%s: task %d took what was made ahead: %t", name, i, took)
				}
				if !reflect.NewAt(of, got).Elem().IsZero() {
					t.Errorf("%s: task %d was given something that is not zero", name, i)
				}
				reflect.NewAt(of, got).Elem().Index(0).Set(reflect.ValueOf(new(int)))
			}
			p.LeaveHeld()
		}
	}
}
