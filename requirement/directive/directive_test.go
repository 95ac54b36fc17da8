package directive

import (
	"fmt"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/distkit/dist/requirement"
)

// show renders what Parse made of text: the requirement, then each mistake as
// code [what is underlined] -> fix.
func show(text string) string {
	const base = 1000
	d, errs := Parse(base, text)
	if d == nil && errs == nil {
		return "-"
	}
	lines := []string{"<" + d.Requirement.String() + ">"}
	for _, e := range errs {
		line := fmt.Sprintf("%s [%s]", e.Code, text[e.Pos-base:e.End-base])
		if e.Fix != "" {
			line += " -> " + e.Fix
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "; ")
}

func TestParse(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		// Right.
		{"//dist:nodes=3", "<nodes=3>"},
		{"//dist:nodes=3 min=2 program=etcd ports=client,peer reuse shared optional timeout=30s",
			"<nodes=3 min=2 program=etcd ports=client,peer reuse shared optional timeout=30s>"},
		{"//dist:timeout=90s optional nodes=5", "<nodes=5 optional timeout=1m30s>"},
		{"//dist:program=3-node_db", "<program=3-node_db>"},
		{"//dist:nodes=4096", "<nodes=4096>"},
		{"//dist:nodes=3 // a quorum and one", "<nodes=3>"},
		{"//dist:nodes=3 //", "<nodes=3>"},
		{"//dist:nodes=3\tmin=2\u00a0reuse \r", "<nodes=3 min=2 reuse>"},
		{"//dist:timeout=2h", "<timeout=2h>"},
		{"//dist:timeout=2m", "<timeout=2m>"},

		// Unknown words.
		{"//dist:node=3", "<nodes=3>; unknownword [node=3] -> nodes=3"},
		{"//dist:nodes=3 prots=raft", "<nodes=3 ports=raft>; unknownword [prots=raft] -> ports=raft"},
		{"//dist:nodes=3 Reuse", "<nodes=3 reuse>; unknownword [Reuse] -> reuse"},
		{"//dist:nodes=3 shraed", "<nodes=3 shared>; unknownword [shraed] -> shared"},
		{"//dist:nodes:3", "<nodes=3>; unknownword [nodes:3] -> nodes=3"},
		{"//dist:nodes=3 --min=2", "<nodes=3 min=2>; unknownword [--min=2] -> min=2"},
		{"//dist:nodes=3 containers", "<nodes=3>; unknownword [containers]"},
		{"//dist:nodes=3 containers reuse", "<nodes=3 reuse>; unknownword [containers]"},
		{"//dist:3", "<>; unknownword [3]"},
		{"//dist:nodes=3 größe=2", "<nodes=3>; unknownword [größe=2]"},
		{"//dist:nodes=3 größe=2 min=x", "<nodes=3>; unknownword [größe=2]; badvalue [min=x]"},
		{"//dist:nodes=3 # three", "<nodes=3>; unknownword [#]; unknownword [three]"},

		// Values.
		{"//dist:nodes", "<>; badvalue [nodes]"},
		{"//dist:nodes=", "<>; badvalue [nodes=]"},
		{"//dist:nodes 3", "<nodes=3>; badvalue [nodes 3] -> nodes=3"},
		{"//dist:nodes = 3 reuse", "<nodes=3 reuse>; badvalue [nodes = 3] -> nodes=3"},
		{"//dist:nodes reuse", "<reuse>; badvalue [nodes]"},
		{"//dist:nodes=0", "<>; badvalue [nodes=0]"},
		{"//dist:nodes=00", "<>; badvalue [nodes=00]"},
		{"//dist:nodes=-3", "<>; badvalue [nodes=-3]"},
		{"//dist:nodes=+3", "<nodes=3>; badvalue [nodes=+3] -> nodes=3"},
		{"//dist:nodes=03", "<nodes=3>; badvalue [nodes=03] -> nodes=3"},
		{"//dist:nodes=3,", "<nodes=3>; badvalue [nodes=3,] -> nodes=3"},
		{"//dist:nodes=3, min=2", "<nodes=3 min=2>; badvalue [nodes=3,] -> nodes=3"},
		{"//dist:nodes=\"3\"", "<nodes=3>; badvalue [nodes=\"3\"] -> nodes=3"},
		{"//dist:nodes=0x3", "<>; badvalue [nodes=0x3]"},
		{"//dist:nodes=3.0", "<>; badvalue [nodes=3.0]"},
		{"//dist:nodes=٣", "<>; badvalue [nodes=٣]"},
		{"//dist:nodes=three", "<>; badvalue [nodes=three]"},
		{"//dist:nodes=4097", "<>; badvalue [nodes=4097]"},
		{"//dist:nodes=100000", "<>; badvalue [nodes=100000]"},
		{"//dist:nodes=99999999999999999999", "<>; badvalue [nodes=99999999999999999999]"},
		{"//dist:nodes=3 min=0", "<nodes=3>; badvalue [min=0]"},
		{"//dist:nodes=3 program=", "<nodes=3>; badvalue [program=]"},
		{"//dist:program='etcd'", "<program=etcd>; badvalue [program='etcd'] -> program=etcd"},
		{"//dist:program=a/b", "<>; badvalue [program=a/b]"},
		{"//dist:ports=", "<>; badvalue [ports=]"},
		{"//dist:ports=a,,b", "<>; badvalue [ports=a,,b]"},
		{"//dist:ports=a, b reuse", "<ports=a,b reuse>; badvalue [ports=a, b] -> ports=a,b"},
		{"//dist:ports=a, b, c", "<ports=a,b,c>; badvalue [ports=a, b, c] -> ports=a,b,c"},
		{"//dist:ports=a,b,a", "<>; badvalue [ports=a,b,a]"},
		{"//dist:ports=8080", "<>; badvalue [ports=8080]"},
		{"//dist:nodes=3 reuse=true", "<nodes=3 reuse>; badvalue [reuse=true] -> reuse"},
		{"//dist:nodes=3 reuse=false", "<nodes=3>; badvalue [reuse=false]"},
		{"//dist:timeout=30", "<timeout=30s>; badvalue [timeout=30] -> timeout=30s"},
		{"//dist:timeout=0s", "<>; badvalue [timeout=0s]"},
		{"//dist:timeout=-1s", "<>; badvalue [timeout=-1s]"},
		{"//dist:timeout=+1s", "<timeout=1s>; badvalue [timeout=+1s] -> timeout=1s"},
		{"//dist:timeout=soon", "<>; badvalue [timeout=soon]"},
		{"//dist:nodes=3//three", "<nodes=3>; badvalue [//] ->  //"},

		// Words against each other.
		{"//dist:nodes=3 nodes=3", "<nodes=3>; repeatedword [nodes=3]"},
		{"//dist:nodes=3 reuse node=4", "<nodes=3 reuse>; unknownword [node=4] -> nodes=4; repeatedword [node=4]"},
		{"//dist:min=4 nodes=3", "<nodes=3 min=4>; minovernodes [min=4]"},

		// Near misses.
		{"// dist:nodes=3", "<nodes=3>; nearmiss [// dist:nodes=3] -> //dist:nodes=3"},
		{"//\tdist:nodes=3 reuse // want", "<nodes=3 reuse>; nearmiss [//\tdist:nodes=3 reuse] -> //dist:nodes=3 reuse"},
		{"//Dist:nodes=3", "<nodes=3>; nearmiss [//Dist:nodes=3] -> //dist:nodes=3"},
		{"//dist: nodes=3", "<nodes=3>; nearmiss [//dist: nodes=3] -> //dist:nodes=3"},
		{"//dist :nodes=3", "<nodes=3>; nearmiss [//dist :nodes=3] -> //dist:nodes=3"},
		{"//dist:Nodes=3", "<nodes=3>; nearmiss [//dist:Nodes=3] -> //dist:nodes=3"},
		{"//dist nodes=3", "<nodes=3>; nearmiss [//dist nodes=3] -> //dist:nodes=3"},
		{"//dist：nodes=3", "<nodes=3>; nearmiss [//dist：nodes=3] -> //dist:nodes=3"},
		{"///dist:nodes=3", "<nodes=3>; nearmiss [///dist:nodes=3] -> //dist:nodes=3"},
		{"// +dist:nodes=3", "<nodes=3>; nearmiss [// +dist:nodes=3] -> //dist:nodes=3"},
		{"//dst:nodes=3", "<nodes=3>; nearmiss [//dst:nodes=3] -> //dist:nodes=3"},
		{"// dist:node=3 Reuse", "<nodes=3 reuse>; nearmiss [// dist:node=3 Reuse] -> //dist:nodes=3 reuse"},
		{"// dist:nodes 3", "<nodes=3>; nearmiss [// dist:nodes 3] -> //dist:nodes=3"},
		{"// dist:nodes=0", "<>; nearmiss [// dist:nodes=0]"},
		{"//Dist:optional", "<optional>; nearmiss [//Dist:optional] -> //dist:optional"},
		{"//dist:", "<>; nearmiss [//dist:]"},
		{"/*dist:nodes=3*/", "<nodes=3>; nearmiss [/*dist:nodes=3*/]"},
		{"/* dist:nodes=3 */", "<nodes=3>; nearmiss [/* dist:nodes=3 */]"},

		// Prose, and other people's directives.
		{"// dist:nodes=3 is how a test says it", "-"},
		{"// dist: optional", "-"},
		{"// dist:", "-"},
		{"// Dist is short for distributed.", "-"},
		{"// distributed nodes=3", "-"},
		{"// the dist directive: nodes=3", "-"},
		{"// //dist:nodes=3", "-"},
		{"////dist:nodes=3", "-"},
		{"//go:generate go tool distgen", "-"},
		{"//disk:quota=3", "-"},
		{"//dst:copy nodes", "-"},
		{"/* dist:\nnodes=3 */", "-"},
		{"//", "-"},
		{"/**/", "-"},
		{"", "-"},
	} {
		if got := show(test.text); got != test.want {
			t.Errorf("Parse(%q)\n got %s\nwant %s", test.text, got, test.want)
		}
	}
}

func TestMessages(t *testing.T) {
	for text, want := range map[string]string{
		"//dist:node=3":         `"node=3" is no word of a dist directive; did you mean nodes=3?`,
		"//dist:size=3":         `"size=3" is no word of a dist directive; the words are nodes=N, min=N, program=NAME, ports=NAME,NAME, reuse, shared, optional, timeout=DURATION`,
		"//dist:nodes=100000":   `nodes=100000: a cluster has at most 4096 nodes`,
		"//dist:nodes=0":        `nodes=0: a cluster has at least 1 node`,
		"//dist:nodes=+3":       `nodes=+3: a size has no sign; did you mean nodes=3?`,
		"//dist:nodes=1 min=2":  `min=2 is more than nodes=1`,
		"//dist:nodes":          `nodes has no value: write nodes=N without spaces`,
		"// dist:nodes=3":       `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3`,
		"/* dist:nodes=3 */":    `comment looks like a dist directive, but Go takes it for prose: write //dist:nodes=3, on a line of its own`,
		"// dist:nodes=0":       `comment looks like a dist directive, but Go takes it for prose: begin it with //dist: and no spaces`,
		"//dist:":               `//dist: directive without a word: write at least //dist:nodes=N`,
		"//dist:reuse reuse":    `reuse is given twice in one directive`,
		"//dist:ports=a,1":      `ports=a,1: "1" is no name for a port: letters, digits, '-' and '_', beginning with a letter, 64 characters at most`,
		"//dist:timeout=later":  `timeout=later: a timeout is a duration such as 30s or 1m30s`,
		"//dist:nodes=3//three": `comment after nodes=3 wants a space before it`,
	} {
		_, errs := Parse(0, text)
		if len(errs) != 1 || errs[0].Message != want {
			t.Errorf("Parse(%q)\n got %v\nwant %s", text, errs, want)
		}
	}
}

func TestFind(t *testing.T) {
	const text = "//dist:nodes=3  min=2 // two will do"
	d, errs := Parse(50, text)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	w, ok := d.Find(requirement.WordMin)
	if got := text[w.Pos-50 : w.End-50]; !ok || got != "min=2" {
		t.Errorf("Find(min) = %q, %v", got, ok)
	}
	if _, ok := d.Find(requirement.WordPorts); ok {
		t.Error("Find(ports) found what is not there")
	}
	if got := text[d.Pos-50 : d.End-50]; got != "//dist:nodes=3  min=2" {
		t.Errorf("the directive spans %q", got)
	}
}

// FuzzParse holds Parse to what its documentation says of any input.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"//dist:nodes=3 min=2 program=etcd ports=a,b reuse shared optional timeout=30s // comment",
		"//dist:nodes = 03, prots=a, b -Reuse=true nodes 3 timeout=30",
		"// dist:nodes=3", "//dist: nodes=3", "/*dist:nodes=3*/", "//dst:nodes=3", "//dist：nodes=3", "//dist:nodes=3//x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const base = 7
		d, errs := Parse(base, text)
		if d == nil {
			if len(errs) > 0 {
				t.Fatalf("mistakes %v in what is no directive", errs)
			}
			return
		}
		end := base + token.Pos(len(text))
		if d.Pos != base || d.End < d.Pos || d.End > end {
			t.Errorf("directive spans [%d,%d) of [%d,%d)", d.Pos, d.End, base, end)
		}
		fixable := true
		for _, e := range errs {
			if e.Pos < base || e.End < e.Pos || e.End > end {
				t.Errorf("%s: [%d,%d) is outside [%d,%d)", e, e.Pos, e.End, base, end)
			}
			if e.Message == "" || e.Code == "" {
				t.Errorf("mistake without a name or text: %#v", e)
			}
			fixable = fixable && e.Fix != ""
		}

		// What was made out is right in itself, and its text means the same.
		words := d.Requirement.String()
		if words != "" && !d.NearMiss {
			again, errs := Parse(base, prefix+words)
			contradicts := slices.ContainsFunc(errs, func(e *Error) bool { return e.Code != MinOverNodes })
			if again == nil || contradicts || !again.Requirement.Equal(d.Requirement) {
				t.Errorf("%q means %v; its canonical text %q means %v %v", text, d.Requirement, words, again, errs)
			}
		}

		// Taking all fixes leaves nothing a fix would be offered for.
		if len(errs) == 0 || !fixable || strings.ContainsAny(strings.TrimRight(text, "\r\n"), "\r\n") {
			return
		}
		fixed := text
		slices.SortStableFunc(errs, func(a, b *Error) int { return int(b.Pos - a.Pos) })
		for _, e := range errs {
			fixed = fixed[:e.Pos-base] + e.Fix + fixed[e.End-base:]
		}
		again, errs := Parse(base, fixed)
		if again == nil || again.NearMiss {
			t.Fatalf("%q is fixed to %q, which is no directive", text, fixed)
		}
		for _, e := range errs {
			if e.Code != MinOverNodes && e.Code != RepeatedWord {
				t.Errorf("%q is fixed to %q, which is still wrong: %v", text, fixed, e)
			}
		}
	})
}

// TestDocs holds docs/directive.md to the grammar: a row for each word, as it is
// written, and directives that are right.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "directive.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	directives := 0
	for line := range strings.Lines(string(page)) {
		if row, ok := strings.CutPrefix(line, "| `"); ok {
			word, _, _ := strings.Cut(row, "`")
			rows = append(rows, word)
		}
		if strings.HasPrefix(line, "//dist:") {
			directives++
			if _, errs := Parse(1, strings.TrimSpace(line)); errs != nil {
				t.Errorf("%s%v", line, errs)
			}
		}
	}
	if got := strings.Join(rows, ", "); got != wordList {
		t.Errorf("the page has %s; the words are %s", got, wordList)
	}
	if directives < 2 {
		t.Errorf("%d directives on the page", directives)
	}
	if !strings.Contains(string(page), fmt.Sprintf("1 to %d", requirement.MaxNodes)) {
		t.Errorf("the page does not say that there are at most %d nodes", requirement.MaxNodes)
	}
}
