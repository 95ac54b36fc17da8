package config

import (
	"maps"
	"os"
	"slices"
	"strings"
)

// reserved tells whether a DIST_ variable is the runtime's own and no
// configuration.
func reserved(name string) bool {
	switch name {
	case "DIST_CONFIG", "DIST_NODE", "DIST_REAPER", "DIST_RUN_ID", "DIST_DEPTH", "DIST_REPORT", "DIST_COVERDIR", "DIST_OWNER", "DIST_DEBUG", "DIST_SEED":
		return true
	}
	return false
}

// lookup looks up the variable of each field, and all of them whatever the
// file says: Go's test cache knows only of those that are looked up.
func lookup(prefix string, fields []field) []string {
	texts := make([]string, len(fields))
	for i, f := range fields {
		texts[i], _ = os.LookupEnv(envName(prefix + f.key))
	}
	return texts
}

// override sets what the environment says. An empty variable says nothing, as
// CI services have no other way to leave one out.
func (l *loader) override(prefix string, fields []field, texts []string) {
	for i, f := range fields {
		if texts[i] == "" {
			continue
		}
		key := prefix + f.key
		env := envName(key)
		l.replace(prefix, f.key, fields)
		l.config.sources[key] = source{env: env}
		f.to.parse(texts[i], func(_ pos, problem, remedy string) {
			l.fail(&Error{Key: key, Env: env, Problem: env + " " + problem, Remedy: remedy})
		})
	}
}

// alternatives are the keys of which only one can be set.
var alternatives = [][]string{
	{"package", "command"},
	{"ready.http", "ready.tcp", "ready.log", "ready.exec", "ready.grpc"},
}

// replace forgets what the file says for the alternatives to a key that the
// environment sets: a variable with a command replaces the file's package.
func (l *loader) replace(prefix, key string, fields []field) {
	for _, group := range alternatives {
		if !slices.Contains(group, key) {
			continue
		}
		others := group
		if strings.HasPrefix(key, "ready.") && key != "ready.http" {
			others = append(slices.Clone(group), "ready.path") // goes with http
		}
		for _, f := range fields {
			s, set := l.config.sources[prefix+f.key]
			if f.key == key || !slices.Contains(others, f.key) || !set || s.env != "" {
				continue
			}
			delete(l.config.sources, prefix+f.key)
			switch to := f.to.(type) {
			case textValue:
				*to.p = ""
			case listValue:
				*to.p = nil
			}
		}
	}
}

// environ looks for variables that seem to be overrides and are none. It
// reads os.Environ, of which Go's test cache does not know: nothing but
// complaints may come of it.
func (l *loader) environ() {
	c := l.config
	known := map[string]bool{}
	var names, sections []string // overrides, and what those of each section begin with
	add := func(prefix string, fields []field) {
		for _, f := range fields {
			env := envName(prefix + f.key)
			known[env] = true
			names = append(names, env)
			section, _, _ := strings.Cut(f.key, ".")
			if prefix != "" {
				section = strings.TrimSuffix(prefix, ".")
			}
			if begin := envName(section) + "_"; !slices.Contains(sections, begin) {
				sections = append(sections, begin)
			}
		}
	}
	add("", c.fields())
	for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
		add("program."+name+".", c.Programs[name].fields())
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attach)) {
		add("attach."+name+".", c.Attach[name].fields())
	}
	environ := os.Environ()
	slices.Sort(environ)
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, "DIST_") || known[name] || reserved(name) || value == "" {
			continue
		}
		begins := func(section string) bool { return strings.HasPrefix(name, section) }
		switch {
		case slices.ContainsFunc(sections, begins):
			var here []string
			for _, n := range names {
				for _, s := range sections {
					if begins(s) && strings.HasPrefix(n, s) {
						here = append(here, n)
					}
				}
			}
			remedy := "known are " + strings.Join(here, ", ")
			if near := nearest(name, here); near != "" {
				remedy = "did you mean " + near + "?"
			}
			l.fail(&Error{Env: name, Problem: name + " overrides no key", Remedy: remedy})
		case strings.HasPrefix(name, "DIST_PROGRAM_"), strings.HasPrefix(name, "DIST_ATTACH_"):
			// Good for another module of the same workspace, perhaps.
			c.Warnings = append(c.Warnings, name+" is for a program or cluster that is not configured here")
		default:
			// Others have DIST_ variables too: only a slip of a letter or two is
			// ours, and even that is no proof.
			if near, d := closest(name, names); near != "" && d <= 2 {
				c.Warnings = append(c.Warnings, name+" overrides no key; did you mean "+near+"?")
			}
		}
	}
}
