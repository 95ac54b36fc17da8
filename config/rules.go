package config

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// check applies the rules that concern more than one key, where each of these
// is good by itself: the second message about one mistake misleads.
func (l *loader) check() {
	c := l.config
	if l.good("cluster.") {
		l.checkSizes()
	}
	if l.good("network.") {
		l.checkNetwork()
	}
	if l.good("artifacts.") {
		l.checkArtifacts()
	}
	envs := map[string]string{} // what the variables of a section begin with: the section
	distinct := func(key string) {
		env := envName(key)
		if other, dup := envs[env]; dup {
			l.failKey(key, pos{}, "differs from "+other+" only in case, - or _", "rename one: their variables, "+env+"_…, would be the same")
		}
		envs[env] = key
	}
	for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
		distinct("program." + name)
		if l.good("program." + name + ".") {
			l.checkProgram(c.Programs[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attach)) {
		distinct("attach." + name)
		if c.Programs[name] != nil {
			l.failKey("attach."+name, pos{}, "has the name of a program too", "rename one: program="+name+" would mean both")
		}
		if l.good("attach." + name + ".") {
			l.checkAttach(c.Attach[name])
		}
	}
}

// good tells whether no key with this prefix has been complained of.
func (l *loader) good(prefix string) bool {
	return !slices.ContainsFunc(l.errs, func(e *Error) bool { return strings.HasPrefix(e.Key, prefix) })
}

func (l *loader) checkSizes() {
	c := l.config
	if c.Cluster.DefaultNodes <= c.Cluster.MaxNodes {
		return
	}
	if c.Source("cluster.default_nodes") == sourceDefault {
		c.Cluster.DefaultNodes = c.Cluster.MaxNodes
		return
	}
	l.failKey("cluster.default_nodes", pos{},
		fmt.Sprintf("is %d, more than %s", c.Cluster.DefaultNodes, c.describe("cluster.max_nodes")),
		"lower it, or raise cluster.max_nodes")
}

func (l *loader) checkNetwork() {
	n := l.config.Network
	if n.Range == "" {
		return
	}
	switch {
	case n.Addresses == "ports" && !isPorts(n.Range):
		l.failKey("network.range", pos{}, "is "+quote(n.Range)+", not a range of ports, where "+l.config.describe("network.addresses"),
			`write one such as "20000-21000"`)
	case n.Addresses == "per-node" && isPorts(n.Range):
		l.failKey("network.range", pos{}, "is "+quote(n.Range)+", a range of ports, where "+l.config.describe("network.addresses"),
			`write a CIDR such as "127.77.0.0/16"`)
	}
}

func (l *loader) checkArtifacts() {
	if dir := &l.config.Artifacts.Dir; *dir != "" {
		*dir = l.absolute("artifacts.dir", *dir)
	}
}

// resolve makes the path of a command absolute, in place. A name without a
// slash is left to PATH.
func (l *loader) resolve(key string, command []string) {
	if len(command) > 0 && strings.Contains(filepath.ToSlash(command[0]), "/") {
		command[0] = l.absolute(key, command[0])
	}
}

// absolute takes a path of the file as relative to the file, because tests run
// in the directories of their packages. For a path of the environment there is
// no such place.
func (l *loader) absolute(key, path string) string {
	switch {
	case filepath.IsAbs(path) || strings.HasPrefix(path, "{{"): // of ready and reset
		return path
	case l.config.sources[key].env != "":
		l.failKey(key, pos{}, "has the relative path "+quote(path), "make it absolute: each package's tests run in a directory of their own")
		return path
	}
	return filepath.Join(filepath.Dir(l.config.File), filepath.FromSlash(path))
}

func (l *loader) checkProgram(p *Program) {
	prefix := "program." + p.Name + "."
	section := l.config.sources["program."+p.Name].at
	switch {
	case p.Package == "" && len(p.Command) == 0:
		l.failKey("program."+p.Name, section, "has neither package nor command",
			`add package = "./cmd/server" for a program to build, or command = ["server"] for one that is there`)
	case p.Package != "" && len(p.Command) > 0:
		l.failKey(prefix+"command", section, "is given besides package", "keep one of the two")
	}
	if len(p.Command) > 0 && strings.Contains(p.Command[0], "{{") {
		l.failKey(prefix+"command", section, "has the executable "+quote(p.Command[0])+", a template", "all nodes run the same file; arguments may differ")
		return
	}
	l.distinct(prefix+"ports", section, p.Ports)
	templates := slices.Concat(
		l.templates(prefix+"command", p.Command),
		l.templates(prefix+"args", p.Args),
		l.templates(prefix+"reset", p.Reset.Exec),
	)
	for _, name := range slices.Sorted(maps.Keys(p.Env)) {
		t := templated{key: prefix + "env", text: p.Env[name]}
		if value := l.config.sources[t.key].value; value != nil && value.member(name) != nil {
			t.at = value.member(name).value
		}
		templates = append(templates, t)
	}
	l.checkTemplates(section, p.Ports, false, templates)
	l.checkReady(&p.Ready, prefix, section, p.Ports, false)
	l.resolve(prefix+"command", p.Command)
	l.resolve(prefix+"reset", p.Reset.Exec)
}

func (l *loader) checkAttach(a *Attach) {
	prefix := "attach." + a.Name + "."
	section := l.config.sources["attach."+a.Name].at
	if len(a.Nodes) == 0 {
		l.failKey("attach."+a.Name, section, "has no nodes", `add nodes = [{ client = "host:2379" }], one table for each`)
		return
	}
	l.checkReady(&a.Ready, prefix, section, slices.Sorted(maps.Keys(a.Nodes[0])), true)
}

func (l *loader) checkReady(r *Ready, prefix string, section pos, ports []string, attached bool) {
	l.checkTemplates(section, ports, attached, l.templates(prefix+"ready.exec", r.Exec))
	l.resolve(prefix+"ready.exec", r.Exec)
	var ways []string
	for _, way := range []struct {
		name string
		set  bool
	}{
		{"http", r.HTTP != ""}, {"tcp", r.TCP != ""}, {"log", r.Log != ""}, {"exec", r.Exec != nil}, {"grpc", r.GRPC != ""},
	} {
		if way.set {
			ways = append(ways, way.name)
		}
	}
	if len(ways) > 1 {
		l.failKey(prefix+"ready."+ways[1], section, "is given besides "+strings.Join(slices.Delete(slices.Clone(ways), 1, 2), " and "),
			"keep one of http, tcp, log, exec and grpc")
	}
	if r.Path != "" && r.HTTP == "" {
		l.failKey(prefix+"ready.path", section, "is given without http", `add http = "PORT", or remove path`)
	}
	if r.HTTP != "" && r.Path == "" {
		r.Path = "/"
	}
	for _, port := range []struct{ key, name string }{{"http", r.HTTP}, {"tcp", r.TCP}, {"grpc", r.GRPC}} {
		if port.name != "" {
			l.checkPort(prefix+"ready."+port.key, section, port.name, ports)
		}
	}
}

func (l *loader) checkPort(key string, section pos, name string, ports []string) {
	if slices.Contains(ports, name) {
		return
	}
	problem, remedy := unknownPort(name, ports)
	l.failKey(key, section, problem, remedy)
}

func unknownPort(name string, ports []string) (problem, remedy string) {
	remedy = `add it to ports`
	if len(ports) > 0 {
		remedy = didYouMean(name, ports) + "ports has " + strings.Join(ports, ", ")
	}
	return "names the port " + quote(name) + ", which is not declared", remedy
}

func (l *loader) distinct(key string, section pos, names []string) {
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			l.failKey(key, section, "has "+quote(name)+" twice", "remove one")
			return
		}
	}
}
