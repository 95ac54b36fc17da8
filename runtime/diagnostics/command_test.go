package diagnostics

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{nil, ""},
		{[]string{"etcd", "--name=n1", "--data-dir", "/tmp/x y"}, "etcd --name=n1 --data-dir /tmp/x y"},
		{[]string{"mysqld", "--password=hunter2", "-v"}, "mysqld --password=*** -v"},
		{[]string{"mysqld", "--password=hunter2 and more"}, "mysqld --password=***"},
		{[]string{"x", "--Root-Password-File", "/run/key", "-v"}, "x --Root-Password-File *** -v"},
		{[]string{"x", "--token", "hunter2", "--port", "1"}, "x --token *** --port 1"},
		{[]string{"x", "-token=", "hunter2"}, "x -token= ***"},
		{[]string{"x", "-token", "", "hunter2"}, "x -token  ***"},
		{[]string{"env", "AWS_SECRET_ACCESS_KEY=hunter2", "x"}, "env AWS_SECRET_ACCESS_KEY=*** x"},
		{[]string{"sh", "-c", "PGPASSWORD='hunter2' psql -h x"}, "sh -c PGPASSWORD=***"},
		{[]string{"sh", "-c", "curl --oauth2-bearer hunter2 x"}, "sh -c curl --oauth2-bearer ***"},
		{[]string{"curl", "-H", "Authorization: Bearer hunter2"}, "curl -H Authorization: ***"},
		{[]string{"curl", "-H", "X-API-Key:hunter2"}, "curl -H X-API-Key:***"},
		{[]string{"curl", "-d", `{"token": "hunter2"}`}, `curl -d {"token": ***`},
		{[]string{"git", "clone", "https://hunter2@example.org/a@b"}, "git clone https://***@example.org/a@b"},
		{[]string{"x", "postgres://me:hunt@er2@db:5432/x?sslmode=off,http://a:hunter2@b"}, "x postgres://***@db:5432/x?sslmode=off,http://***@b"},
		{[]string{"/src/token-server/main", "-run=TestToken", "TestPassword", "cookies.txt"}, "/src/token-server/main -run=TestToken TestPassword cookies.txt"},
		{[]string{"go", "test", "-run", "TestSecrets", "-v"}, "go test -run TestSecrets -v"},
		{[]string{"a\nb\x1b[31m", "\xff"}, "a b [31m \ufffd"},
		{[]string{"x", strings.Repeat("ä", 100)}, "x " + strings.Repeat("ä", 59) + "…"},
		{[]string{strings.Repeat("x", 110), "--token", "hunter2"}, strings.Repeat("x", 110) + " --token *…"},
	} {
		got := CommandLine(strings.Join(test.args, "\x00") + "\x00")
		if got != test.want {
			t.Errorf("CommandLine(%q) = %q, want %q", test.args, got, test.want)
		}
		if strings.Contains(got, "hunt") {
			t.Errorf("CommandLine(%q) = %q tells the secret", test.args, got)
		}
	}
}

func FuzzCommandLine(f *testing.F) {
	for _, name := range secretNames {
		f.Add("x\x00", "--"+name+"=")
	}
	f.Add("://@\x00-token\x00\x00", "Authorization: Bearer ")
	f.Add("sh\x00-c\x00", "{\"TOKEN\" : ")
	f.Fuzz(func(t *testing.T, before, name string) {
		const secret = "hunter2"
		got := CommandLine(before + "\x00" + name)
		if !utf8.ValidString(got) || len(got) > 130 || strings.ContainsFunc(got, unicode.IsControl) && !strings.ContainsFunc(before+name, isC1) {
			t.Errorf("CommandLine(%q) = %q", before+"\x00"+name, got)
		}
		if n := strings.TrimRight(name, ": =\""); !strings.ContainsAny(name[len(n):], ":=") || !named(lower(n)) {
			return
		}
		if got = CommandLine(before + "\x00" + name + secret); strings.Contains(got, secret) && !strings.Contains(before, "hunter") {
			t.Errorf("CommandLine(%q) = %q tells the secret", before+"\x00"+name+secret, got)
		}
	})
}

func isC1(r rune) bool { return r >= 0x80 && unicode.IsControl(r) }

// named reports whether a name ends in one of a secret.
func named(n string) bool {
	for _, s := range secretNames {
		if strings.HasSuffix(n, s) {
			return true
		}
	}
	return false
}
