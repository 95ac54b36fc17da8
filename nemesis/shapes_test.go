package nemesis

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// reaches is whom each node reaches, itself included, where pairs are cut.
func reaches(n int, cut []pair) [][]bool {
	m := make([][]bool, n)
	for i := range m {
		m[i] = slices.Repeat([]bool{true}, n)
	}
	for _, p := range cut {
		m[p[0]][p[1]], m[p[1]][p[0]] = false, false
	}
	return m
}

func count(row []bool) (n int) {
	for _, r := range row {
		if r {
			n++
		}
	}
	return n
}

func TestRingShape(t *testing.T) {
	for n := 4; n < 20; n++ {
		m := reaches(n, ring(rand.Perm(n)))
		for i, row := range m {
			if count(row) <= n/2 || count(row) == n {
				t.Errorf("%d nodes: node %d reaches %d", n, i, count(row))
			}
			for j := range i {
				if slices.Equal(row, m[j]) {
					t.Errorf("%d nodes: nodes %d and %d reach the same", n, j, i)
				}
			}
		}
	}
}

func TestBridgeShape(t *testing.T) {
	for n := 3; n < 20; n++ {
		order := rand.Perm(n)
		m := reaches(n, bridge(order))
		if count(m[order[0]]) != n {
			t.Errorf("%d nodes: the bridge reaches %d", n, count(m[order[0]]))
		}
		sizes := make(map[int]int)
		for _, i := range order[1:] {
			sizes[count(m[i])]++ // its half, and the bridge
		}
		small, large := (n-1)/2, n-1-(n-1)/2
		want := map[int]int{small + 1: small}
		want[large+1] += large
		for size, n := range want {
			if sizes[size] != n {
				t.Errorf("%d nodes reach %v; want %v", n, sizes, want)
			}
		}
	}
}
