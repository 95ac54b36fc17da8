package config

import (
	"os"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// FuzzFile reads any bytes as a distributed.toml. Whatever it says, the answer
// is either errors that point into it, or a configuration whose settings mean
// the same when written as a file.
func FuzzFile(f *testing.F) {
	example, err := os.ReadFile(exampleFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example)
	for _, text := range []string{
		"[program.x]\ncommand = ['x', '{{.Addr `a`}}']\nports = ['a']\nready = { http = 'a', timeout = '1s' }\nenv.'a b' = 'c'\nreset = ['y']",
		"[program.x]\ncommand = ['x', '{{range $i, $n := .Nodes}}{{if $i}},{{end}}{{$n.Addr `a`}}{{end}}', \"\"\"\\\n {{with .Dir}}{{.}}{{else}}{{join (.Addrs `a`) `,` | printf `%s`}}{{end}}\"\"\"]\nports = ['a']",
		"[[attach.s.nodes]]\na = 'h:1'\n[[attach.s.nodes]]\na = '[::1]:2'\n[attach.s.ready]\ntcp = 'a'",
		"cluster = { max_nodes = 0x1F, start_timeout = \"1m\" }\nci.timeout_factor = 1e1",
		"\ufeff[network]\r\nrange = '20000-21000'\r\naddresses = \"ports\"\r\n",
		"x = [[[[1]]]]\n'' = {}\n[a.b.c]\n[[d]]\n[d.e]\n[[d]]",
		"[program.x.ready]\nlog = '''(?i)\nready'''\n[program.\"x\"]\npackage = './x'",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c, errs := read(doc)
		if len(errs) > 0 {
			lines := strings.Split(string(doc), "\n")
			for i, e := range errs {
				if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 {
					t.Errorf("error outside of the file of %d lines: %s", len(lines), e)
				}
				if e.Problem == "" || strings.ContainsFunc(e.Error(), func(r rune) bool { return unicode.IsControl(r) }) {
					t.Errorf("error that cannot be shown: %q", e.Error())
				}
				if i > 0 && (e.Line < errs[i-1].Line || e.Line == errs[i-1].Line && e.Column < errs[i-1].Column) {
					t.Errorf("%s comes after %s", e, errs[i-1])
				}
			}
			return
		}
		var file strings.Builder
		for _, s := range c.Settings() {
			file.WriteString(s.Key + " = " + s.Value + "\n")
		}
		again, errs := read([]byte(file.String()))
		if len(errs) > 0 {
			t.Fatalf("written as a file, it is wrong: %v\n%s", errs, file.String())
		}
		if diff := cmp.Diff(c, again, values); diff != "" {
			t.Errorf("written as a file, it differs (-want +got):\n%s\n%s", diff, file.String())
		}
	})
}

// read is Load without the file system and the environment.
func read(doc []byte) (*Config, Errors) {
	l := &loader{config: Default()}
	l.config.sources = map[string]source{}
	l.config.File, l.config.display = "/m/"+FileName, FileName
	if l.file(doc, l.config.fields()) {
		l.check()
	}
	l.errs.sort()
	return l.config, l.errs
}

// FuzzVariable reads any text as the value of any variable.
func FuzzVariable(f *testing.F) {
	for _, text := range []string{"", "1", "-1", "1.5", "true", "30s", "auto", "127.7.0.0/16", "2000-3000", "['a']", "[", "{ A = 'b' }", "[{ a = 'h:1' }]", "x\ny = 1", "\x00\xff"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		p, a := defaultProgram("x"), &Attach{Name: "y"}
		for _, fields := range [][]field{c.fields(), p.fields(), a.fields()} {
			for _, field := range fields {
				before := field.to.literal()
				bad := false
				field.to.parse(text, func(at pos, problem, remedy string) {
					bad = true
					if at != (pos{}) {
						t.Errorf("%s: a place in a variable: %v", field.key, at)
					}
					if problem == "" || strings.ContainsFunc(problem+remedy, unicode.IsControl) {
						t.Errorf("%s: error that cannot be shown: %q; %q", field.key, problem, remedy)
					}
				})
				if after := field.to.literal(); bad && after != before {
					t.Errorf("%s is %s after an error, and was %s", field.key, after, before)
				}
			}
		}
	})
}
