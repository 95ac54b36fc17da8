package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// another returns a text for the variable of a field that is good and not the
// present value.
func another(t *testing.T, f field) string {
	t.Helper()
	switch to := f.to.(type) {
	case intValue:
		return fmt.Sprint(*to.p + 1)
	case floatValue:
		return fmt.Sprint(*to.p + 1)
	case boolValue:
		return fmt.Sprint(!*to.p)
	case durationValue:
		return (*to.p + time.Second).String()
	case enumValue:
		for _, v := range to.values {
			if v != *to.p {
				return v
			}
		}
		return *to.p // an enumeration of one
	}
	for key, text := range map[string]string{
		"network.range":      "127.77.0.0/16",
		"network.host_ports": "[5432, 6379]",
		"artifacts.dir":      "/tmp/artifacts",
		"package":            "./other",
		"command":            "/bin/other",
		"args":               `["other"]`,
		"env":                `{ OTHER = "1" }`,
		"ports":              `["a", "b", "other"]`,
		"ready.http":         "b",
		"ready.path":         "/other",
		"ready.tcp":          "a",
		"ready.log":          "other",
		"ready.exec":         "other",
		"ready.grpc":         "a",
		"reset":              "none",
		"nodes":              `[{ a = "other:1", b = "other:2" }]`,
	} {
		if f.key == key {
			return text
		}
	}
	t.Fatalf("no value to try for %s", f.key)
	return ""
}

// TestEveryKeyHasAVariable sets the variable of each key to another value than
// the file's, and expects it in the configuration.
func TestEveryKeyHasAVariable(t *testing.T) {
	const file = "[program.x]\npackage = './x'\nports = ['a', 'b']\nready = { http = 'a' }\n[attach.y-z]\nnodes = [{ a = 'h:1', b = 'h:2' }]\nready = { http = 'a' }"
	base := mustLoad(t, file)
	type key struct {
		prefix string
		field
	}
	var keys []key
	for _, f := range base.fields() {
		keys = append(keys, key{"", f})
	}
	for _, f := range base.Programs["x"].fields() {
		keys = append(keys, key{"program.x.", f})
	}
	for _, f := range base.Attach["y-z"].fields() {
		keys = append(keys, key{"attach.y-z.", f})
	}
	value := func(c *Config, full string) string {
		for f := range c.settings() {
			if f.key == full {
				return f.to.literal()
			}
		}
		return ""
	}
	for _, k := range keys {
		full := k.prefix + k.key
		t.Run(full, func(t *testing.T) {
			text := another(t, k.field)
			env := "DIST_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(full))
			c := mustLoad(t, file, env+"="+text)
			if c.Source(full) != env {
				t.Errorf("Source(%q) = %q with %s=%s, want the variable", full, c.Source(full), env, text)
			}
			old, got := value(base, full), value(c, full)
			if e, ok := k.to.(enumValue); ok && len(e.values) == 1 {
				return
			}
			if got == old || got == "" {
				t.Errorf("%s = %s with %s=%s, want another value than %s", full, got, env, text, old)
			}
		})
	}
}

func TestVariablesAreDistinct(t *testing.T) {
	seen := map[string]string{}
	for _, f := range Default().fields() {
		env := envName(f.key)
		if seen[env] != "" || reserved(env) {
			t.Errorf("%s is the variable of %s, and taken", env, f.key)
		}
		seen[env] = f.key
	}
}

func TestClosest(t *testing.T) {
	keys := []string{"max_nodes", "mode", "min", "start_timeout", "stop_timeout"}
	tests := []struct{ got, want string }{
		{"max_node", "max_nodes"},
		{"maxnodes", "max_nodes"},
		{"Max-Nodes", "max_nodes"},
		{"mdoe", "mode"},
		{"starttimeout", "start_timeout"},
		{"timeout", ""},
		{"", ""},
		{"x", ""},
		{"whatever", ""},
		{strings.Repeat("max_nodes", 1000), ""},
	}
	for _, test := range tests {
		if got := nearest(test.got, keys); got != test.want {
			t.Errorf("nearest(%q) = %q, want %q", test.got, got, test.want)
		}
	}
}
