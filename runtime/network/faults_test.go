package network

import (
	"fmt"
	"testing"
)

func TestAcross(t *testing.T) {
	for _, test := range []struct {
		n      int
		groups [][]int
		want   string
	}{
		{2, [][]int{{0}, {1}}, "[{0 1} {1 0}]"},
		{2, [][]int{{0}}, "[{0 1} {1 0}]"},
		{3, [][]int{{0, 1}, {2}}, "[{0 2} {1 2} {2 0} {2 1}]"},
		{3, [][]int{{0}, {1}, {2}}, "[{0 1} {0 2} {1 0} {1 2} {2 0} {2 1}]"},
		{4, [][]int{{0}, {1}}, "[{0 1} {0 2} {0 3} {1 0} {1 2} {1 3} {2 0} {2 1} {3 0} {3 1}]"},
		{3, [][]int{{0, 1, 2}}, "all nodes are in one group: nothing is parted"},
		{3, nil, "all nodes are in one group: nothing is parted"},
		{1, [][]int{{0}}, "all nodes are in one group: nothing is parted"},
		{3, [][]int{{0}, {}}, "group 2 is empty"},
		{3, [][]int{{0}, {0, 1}}, "node-1 is in two groups, or twice in one"},
		{3, [][]int{{3}}, "there is no node with index 3 in a cluster of 3"},
	} {
		pairs, err := Across(test.n, test.groups)
		got := fmt.Sprint(pairs)
		if err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("Across(%d, %v): %s, want %s", test.n, test.groups, got, test.want)
		}
	}
}
