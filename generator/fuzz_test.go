package generator

import (
	"strings"
	"testing"
)

// FuzzOurs reads files that have the name of a generated one. Nothing that a
// person wrote is taken for ours: only what says so above its package clause,
// what a merge has left, or the beginning of a header.
func FuzzOurs(f *testing.F) {
	whole := buildLine + "\n\n" + headerLine + "\n\npackage p\n\nfunc TestMain() {}\n"
	for _, text := range []string{
		whole, whole[:20], "", "\n\n", "package p\n", "package p\n\n" + headerLine + "\n",
		"<<<<<<< HEAD\n" + whole + "=======\n" + whole + ">>>>>>> b\n",
		strings.ReplaceAll(whole, "\n", "\r\n"),
		"/*\n" + headerLine + "\n*/\npackage p\n",
		"// " + headerLine + "\npackage p\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b := &bootstrap{path: "/x/dist_gen_test.go", content: []byte(text)}
		ours := b.ours()
		b.broken()
		said := strings.Contains(text, headerLine)
		cut := strings.HasPrefix(buildLine+"\n\n"+headerLine, strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")))
		if ours && !conflictRE.MatchString(text) && !said && !cut {
			t.Errorf("%q is taken for ours", text)
		}
		// What was written by us stays ours however it is cut, and with any end.
		for _, n := range []int{len(text) % (len(whole) + 1), len(whole)} {
			mine := &bootstrap{path: b.path, content: []byte(whole[:n])}
			if !mine.ours() {
				t.Errorf("%q is not taken for ours", whole[:n])
			}
		}
		mine := &bootstrap{path: b.path, content: []byte(whole + text)}
		if !mine.ours() {
			t.Errorf("%q is not taken for ours", whole+text)
		}
	})
}
