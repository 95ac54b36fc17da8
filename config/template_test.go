package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
)

// three is a cluster of three nodes, seen from the second.
func three() View {
	v := View{Cluster: "kv-1", Index: 1}
	for i := range 3 {
		v.Nodes = append(v.Nodes, NodeView{
			Name: fmt.Sprintf("node-%d", i+1), Dir: fmt.Sprintf("/data/node-%d", i+1),
			Listen: map[string]string{"client": fmt.Sprintf("127.1.0.%d:7000", i+1), "peer": fmt.Sprintf("127.1.0.%d:7001", i+1)},
			Addr:   map[string]string{"client": fmt.Sprintf("10.0.0.%d:7000", i+1), "peer": fmt.Sprintf("10.0.0.%d:7001", i+1)},
		})
	}
	return v
}

func TestExpand(t *testing.T) {
	const peers = "10.0.0.1:7001,10.0.0.2:7001,10.0.0.3:7001"
	for template, want := range map[string]string{
		"":                                  "",
		"plain } text":                      "plain } text",
		"{{.Name}}":                         "node-2",
		"{{ .Index -}}":                     "1",
		"{{.Dir}}/wal":                      "/data/node-2/wal",
		"{{.Cluster}}/{{.Size}}":            "kv-1/3",
		`{{.Listen "client"}}`:              "127.1.0.2:7000",
		`{{.Addr "client"}}`:                "10.0.0.2:7000",
		`{{join (.Addrs "peer") ","}}`:      peers,
		`{{.Addrs "peer" | join ","}}`:      peers,
		`{{host (.Addr "peer")}}`:           "10.0.0.2",
		`{{.Addr "peer" | port}}`:           "7001",
		`{{"peer" | .Addr | port | quote}}`: `"7001"`,
		`{{range $i, $n := .Nodes}}{{if $i}},{{end}}{{$n.Name}}=http://{{$n.Addr "peer"}}{{end}}`:                      "node-1=http://10.0.0.1:7001,node-2=http://10.0.0.2:7001,node-3=http://10.0.0.3:7001",
		`{{range .Nodes}}{{if ne .Index $.Index}}{{.Name}} {{end}}{{end}}`:                                             "node-1 node-3 ",
		`{{range .Nodes}}{{if eq .Index 1}}{{break}}{{end}}{{.Name}}{{end}}`:                                           "node-1",
		`{{range $n := .Nodes}}{{if eq $n.Index 1}}{{continue}}{{end}}{{$n.Name}}{{end}}`:                              "node-1node-3",
		`{{range 3}}{{.}}{{else}}none{{end}}{{range 0}}{{.}}{{else}}none{{end}}`:                                       "012none",
		`{{with index .Nodes 0}}{{.Name}} of {{$.Name}}{{end}}`:                                                        "node-1 of node-2",
		`{{(index .Nodes 2).Addr "client"}}`:                                                                           "10.0.0.3:7000",
		`{{index (.Addrs "peer") 0}}`:                                                                                  "10.0.0.1:7001",
		`{{if eq .Index 0}}--bootstrap{{else if eq .Index 1}}--join={{(index .Nodes 0).Addr "peer"}}{{else}}no{{end}}`: "--join=10.0.0.1:7001",
		`{{$x := "a"}}{{if true}}{{$x = "b"}}{{end}}{{$x}}`:                                                            "b",
		`{{add .Index 1}} {{add 1 -3}}`:                                                                                "2 -2",
		`{{printf "%s-%03d %t" .Name .Index (gt .Size 2)}}`:                                                            "node-2-001 true",
		`{{len .Nodes}} {{len .Name}}`:                                                                                 "3 6",
		`{{and 1 "x"}} {{or "" "y"}} {{not .Dir}} {{and "" (index .Nodes 9)}}`:                                         "x y false ",
		`{{eq .Name "x" "node-2"}} {{le 1 2}} {{lt "b" "a"}} {{ge .Size 3}} {{ne true false}}`:                         "true true false true true",
		`{{print .Index "/" .Size}}{{/* a comment */}}`:                                                                "1/3",
		"{{`{{`}}.Name}}": "{{.Name}}",
	} {
		got, err := (&Program{Name: "kv", Args: []string{template}}).Expand(three())
		if err != nil {
			t.Errorf("%s: %v", template, err)
		} else if got.Args[0] != want {
			t.Errorf("%s is %q; want %q", template, got.Args[0], want)
		}
	}
}

// TestLikeTextTemplate has the standard library say what the templates mean
// that need nothing of ours.
func TestLikeTextTemplate(t *testing.T) {
	type data struct {
		Name  string
		Index int
		Size  int
	}
	for _, text := range []string{
		"a{{- .Name -}} b", "{{with .Name}}{{.}}{{end}}", "{{with $x := .Index}}{{$x}}{{else}}0{{end}}", "{{if and .Index (eq .Name `node-2`)}}y{{end}}",
		"{{range $i := 3}}{{$i}}{{end}}", "{{.Name | printf `%q %s` `x`}}", "{{.Name | len | eq 6}}",
		"{{$a := 1}}{{with .Name}}{{$a := 2}}{{$a}}{{end}}{{$a}}", "{{not 0}}{{or 0 2}}{{and 1 0}}", "{{with 0}}x{{else with .Name}}{{.}}{{end}}",
		"{{eq 1 2 3 1}}", "{{(print .Size) | len}}", "{{if not (lt .Index .Size)}}x{{else}}y{{end}}", "{{range 2}}{{range 2}}{{.}}{{if .}}{{break}}{{end}}{{end}};{{end}}",
	} {
		var want strings.Builder
		if err := template.Must(template.New("").Parse(text)).Execute(&want, data{"node-2", 1, 3}); err != nil {
			t.Fatal(err)
		}
		v := three()
		got, err := expand(text, &v)
		if err != nil || got != want.String() {
			t.Errorf("%s is %q, %v; text/template says %q", text, got, err, want.String())
		}
	}
}

func TestExpandAll(t *testing.T) {
	p := &Program{
		Name: "kv", Command: []string{"kv", "--id={{.Index}}"}, Args: []string{"a b", "{{.Name}}"}, Env: map[string]string{"DATA": "{{.Dir}}", "X": ""},
		Ready: Ready{Exec: []string{"probe", `{{.Addr "client"}}`}}, Reset: Reset{Mode: "exec", Exec: []string{"wipe", "{{.Cluster}}"}},
	}
	got, err := p.Expand(three())
	if err != nil {
		t.Fatal(err)
	}
	want := &Expanded{
		Command: []string{"kv", "--id=1"}, Args: []string{"a b", "node-2"}, Env: map[string]string{"DATA": "/data/node-2", "X": ""},
		Ready: []string{"probe", "10.0.0.2:7000"}, Reset: []string{"wipe", "kv-1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestExpandFails(t *testing.T) {
	for template, want := range map[string]string{
		"{{(index .Nodes 5).Name}}":                  "program.kv.args, for node-2, asks for element 5 of 3; elements are counted from 0; where there may be fewer, ask first: {{if gt .Size 5}}",
		"{{range 3000}}{{range 3000}}{{end}}{{end}}": "program.kv.args, for node-2, takes more than 1048576 steps; make it simpler",
		"{{range 300}}{{printf `%1000d` .}}{{end}}":  "program.kv.args, for node-2, gives more than 131071 bytes; put long values into a file",
		"{{printf `%c` 0}}":                          "program.kv.args, for node-2, gives a NUL character; remove it: no argument can carry one",
	} {
		_, err := (&Program{Name: "kv", Args: []string{template}}).Expand(three())
		if e, ok := err.(*Error); !ok || err.Error() != want || e.Key != "program.kv.args" {
			t.Errorf("%s:\n got %v\nwant %s", template, err, want)
		}
	}
}

// TestWrongTemplates has mistakes, and where in the file they are.
func TestWrongTemplates(t *testing.T) {
	arg := func(template string) string {
		return "[program.x]\ncommand = ['x']\nports = ['client', 'peer']\nargs = ['''" + template + "''']"
	}
	const known = "known are .Name, .Index, .Dir, .Cluster, .Size, .Nodes, .Listen, .Addr, .Addrs"
	tests := []struct{ file, want string }{
		{arg("--x={{.Name"), `4:16: program.x.args is not a template: unclosed action; close it with }}`},
		{arg("{{.Name}} {{.Name"), `4:22: program.x.args is not a template: unclosed action; close it with }}`},
		{arg("{{if .Name}}x"), `4:12: program.x.args is not a template: unexpected EOF; end each if, range and with by {{end}}`},
		{arg("{{.Name}}{{end}}"), `4:21: program.x.args is not a template: unexpected {{end}}; a template is written *`},
		{arg("{{.Name}}{{if}}{{end}}"), `4:21: program.x.args is not a template: missing value for if; *`},
		{arg("{{$x}}"), `4:12: program.x.args is not a template: undefined variable "$x"; *`},
		{arg("{{}}"), `4:12: program.x.args is not a template: missing value for command; *`},
		{arg("a {{.Nmae}}"), `4:16: program.x.args has the unknown field .Nmae; did you mean "Name"? ` + known},
		{arg("{{.Nodes.Name}}"), `4:20: program.x.args asks the list of all nodes for .Name; *`},
		{arg("{{range .Nodes}}{{.Size}}{{end}}"), `4:30: program.x.args has the unknown field .Size; did you mean "$.Size"? known are .Name, .Index, .Dir, .Listen, .Addr`},
		{arg(`{{jion (.Addrs "peer") ","}}`), `4:14: program.x.args calls the unknown function "jion"; did you mean "join"? known are add, *`},
		{arg(`{{Name}}`), `4:14: program.x.args calls the unknown function "Name"; did you mean ".Name"? known are add, *`},
		{arg(`{{if gt .Size 7}}{{.Addr "pear"}}{{end}}`), `4:31: program.x.args names the port "pear", which is not declared; did you mean "peer"? ports has client, peer`},
		{arg(`{{.Addr}}`), `4:14: program.x.args gives .Addr 0 arguments; give it the name of a port: {{.Addr "client"}}`},
		{arg(`{{.Addr 1}}`), `4:14: program.x.args gives .Addr the integer 1; give it the name of a port: {{.Addr "client"}}`},
		{arg(`{{.Addrs "peer"}}`), `4:14: program.x.args prints a list; join it: {{join (.Addrs "port") ","}}`},
		{arg(`{{.Nodes}}`), `4:14: program.x.args prints the list of all nodes; range over it: *`},
		{arg(`{{.}}`), `4:14: program.x.args prints the cluster as a whole; *`},
		{arg(`{{host .Name}}`), `4:14: program.x.args takes the host of "node-1", which is not host:port; *`},
		{arg(`{{printf "%d" .Name}}`), `4:14: program.x.args has a printf that does not fit its arguments: %!d(string=node-1); *`},
		{arg(`{{eq .Name 1}}`), `4:14: program.x.args compares the string "node-1" with the integer 1; *`},
		{arg(`{{range .Name}}{{end}}`), `4:20: program.x.args ranges over the string "node-1"; *`},
		{arg(`{{index .Nodes}}`), `4:14: program.x.args gives index 1 argument; give it 2`},
		{arg(`{{1.5}}`), `4:14: program.x.args has the number 1.5; numbers are integers`},
		{arg(`{{template "x"}}`), `4:23: program.x.args uses "{{template \"x\"}}"; write out what is to stand there`},
		{arg(`{{define "x"}}{{end}}`), `4:14: program.x.args defines a template; write out what is to stand there`},
		{arg("{{range 2000}}{{range 2000}}{{end}}{{end}}"), `4:34: program.x.args takes more than 1048576 steps; make it simpler`},
		// Places inside of strings that the file spells in other ways.
		{"[program.x]\ncommand = ['x', \"\\u00e9\\t\\\"{{.X}}\"]", `2:30: program.x.command has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x', \"\"\"\n é\n  {{.X}}\"\"\"]", `4:5: program.x.command has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x', \"\"\"a\\\n\n   {{.X}}\"\"\"]", `4:6: program.x.command has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x']\nenv = { A = 'a', B = '{{.X}}' }", `3:25: program.x.env has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x']\n[program.x.env]\nB = '{{.X}}'", `4:8: program.x.env has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x']\nreset = ['x', '{{.X}}']", `3:18: program.x.reset has the unknown field .X; *`},
		{"[program.x]\ncommand = ['./x', '{{.X}}']", `2:22: program.x.command has the unknown field .X; *`},
		{"[program.x]\ncommand = ['x']\nready = { exec = ['{{.X}}'] }", `3:22: program.x.ready.exec has the unknown field .X; *`},
		{"[program.x]\ncommand = ['{{.Name}}', 'x']", `2:11: program.x.command has the executable "{{.Name}}", a template; all nodes run the same file; arguments may differ`},
		{"[attach.x]\nnodes = [{ a = 'h:1' }]\nready.exec = ['x', '{{.Listen `a`}}']", `3:23: attach.x.ready.exec asks for .Listen, which is not known of an attached node; use .Addr`},
		{"[attach.x]\nnodes = [{ a = 'h:1' }]\nready.exec = ['x', '{{.Dir}}']", `3:23: attach.x.ready.exec asks for .Dir, which an attached node does not have; *`},
		{"[attach.x]\nnodes = [{ a = 'h:1' }]\nready.exec = ['x', '{{.Addr `b`}}']", `3:23: attach.x.ready.exec names the port "b", which is not declared; *`},
	}
	for _, test := range tests {
		got := messages(t, test.file)
		want := "distributed.toml:" + test.want
		if begin, ok := strings.CutSuffix(want, "*"); ok && len(got) == 1 && strings.HasPrefix(got[0], begin) {
			continue
		}
		if diff := cmp.Diff([]string{want}, got); diff != "" {
			t.Errorf("%s\nmessages (-want +got):\n%s", test.file, diff)
		}
	}
	t.Run("variable", func(t *testing.T) {
		got := messages(t, "[program.x]\ncommand = ['x']", `DIST_PROGRAM_X_ARGS=["{{.X}}"]`)
		want := []string{`DIST_PROGRAM_X_ARGS has "{{.X}}", which has the unknown field .X; ` + known}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

// TestSizesNotTried is about what only some clusters can do: Load cannot know.
func TestSizesNotTried(t *testing.T) {
	if got := messages(t, "[program.x]\ncommand = ['x', '{{(index .Nodes 2).Name}}']"); len(got) > 0 {
		t.Error(got)
	}
}

// TestProgramsPage reads what docs/programs.md shows.
func TestProgramsPage(t *testing.T) {
	page, err := os.ReadFile("../docs/programs.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, part := range strings.Split(string(page), "```toml\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	if len(blocks) < 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, block := range blocks {
		if !strings.HasPrefix(block, "[") {
			block = "[program.x]\ncommand = ['x']\nports = ['peer']\n" + block
		}
		if got := messages(t, block); len(got) > 0 {
			t.Errorf("%s\n%s", block, got)
		}
	}
	wrong := messages(t, strings.Replace(blocks[0], `.Listen \"client`, `.Listen \"cleint`, 1))
	if len(wrong) != 1 || !strings.Contains(string(page), wrong[0]+"\n") {
		t.Errorf("the page does not show this: %q", wrong)
	}
	// Each way to be ready, and to reset.
	rows := 0
	for line := range strings.Lines(string(page)) {
		cell, ok := strings.CutPrefix(line, "| `")
		key, _, _ := strings.Cut(cell, " = ")
		if !ok || key != "ready" && key != "reset" {
			continue
		}
		rows++
		text, _, _ := strings.Cut(cell, "` |")
		if got := messages(t, "[program.x]\ncommand = ['x']\nports = ['client']\n"+text); len(got) > 0 {
			t.Errorf("%s\n%s", text, got)
		}
	}
	if rows != 8 {
		t.Errorf("%d rows about ready and reset; want 8", rows)
	}
}
