package generator

import (
	"errors"
	"fmt"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/distkit/dist/analyzer"
	"github.com/distkit/dist/config"
)

// A projectConfig is the distributed.toml that holds for a package.
type projectConfig struct {
	file   string         // absolute; "" if there is none
	config *config.Config // nil if what it says cannot be told from what the environment says
}

// configOf finds the configuration of p by walking up to the module's root. The
// environment is left aside: generated files are the same for everyone.
func (g *generation) configOf(p *packages.Package) *projectConfig {
	dir := packageDir(p)
	c := &projectConfig{file: findConfig(dir, p)}
	cfg, err := config.Load(dir)
	var problems config.Errors
	switch {
	case errors.As(err, &problems):
		for _, e := range problems {
			if e.Env == "" {
				g.errors.add(token.Position{Filename: e.Path, Line: e.Line, Column: e.Column}, problem(e))
			}
		}
	case err != nil:
		g.errors.add(token.Position{Filename: c.file}, err.Error())
	case filepath.Clean(cfg.File) == filepath.Clean(c.file):
		c.config = cfg
	}
	return c
}

// problem is an error's text without the position it would begin with.
func problem(e *config.Error) string {
	if e.Remedy == "" {
		return e.Problem
	}
	return e.Problem + "; " + e.Remedy
}

// findConfig walks up from dir to the root of p's module.
func findConfig(dir string, p *packages.Package) string {
	root := dir
	if p.Module != nil {
		root = filepath.Clean(p.Module.Dir)
	}
	for {
		file := filepath.Join(dir, config.FileName)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
		parent := filepath.Dir(dir)
		if dir == root || dir == parent {
			return ""
		}
		dir = parent
	}
}

// planPath returns the file as a plan of the package in dir names it.
func (c *projectConfig) planPath(dir string) string {
	if c.file == "" {
		return ""
	}
	rel, err := filepath.Rel(dir, c.file)
	if err != nil {
		return ""
	}
	return filepath.ToSlash(rel)
}

// check reports the requirements that the configuration rules out wherever the
// tests run. What only this environment or this machine rules out is for the
// runtime to say.
func (c *projectConfig) check(fset *token.FileSet, tests []analyzer.Test, errs *errorList) {
	if c.config == nil {
		return
	}
	for i := range tests {
		t := &tests[i]
		if msg := c.excess(t); msg != "" {
			errs.add(fset.Position(t.Pos), msg)
		}
		if msg := c.unknownProgram(t); msg != "" {
			errs.add(fset.Position(t.Pos), msg)
		}
	}
}

// excess says that a test needs more nodes than there may be; "" if it does not.
func (c *projectConfig) excess(t *analyzer.Test) string {
	const key = "cluster.max_nodes"
	source := c.config.Source(key)
	if strings.HasPrefix(source, "DIST_") {
		return "" // in this environment only
	}
	limit := c.config.Cluster.MaxNodes
	if t.Requirement.Nodes <= limit {
		return ""
	}
	least := t.Requirement.Nodes
	if t.Requirement.Min > 0 && c.config.Fallback.Reduce {
		least = t.Requirement.Min
	}
	if least <= limit {
		return ""
	}
	if source == "default" {
		source = "by default; " + config.FileName + " may say more"
	}
	return fmt.Sprintf("%s needs %d nodes, but max_nodes is %d (%s)", t.Name, least, limit, source)
}

// unknownProgram says that a test names a program that nobody defined; "" if it
// does not.
func (c *projectConfig) unknownProgram(t *analyzer.Test) string {
	name := t.Requirement.Program
	if name == "" || c.config.Programs[name] != nil || c.config.Attach[name] != nil {
		return ""
	}
	known := slices.Concat(slices.Collect(maps.Keys(c.config.Programs)), slices.Collect(maps.Keys(c.config.Attach)))
	slices.Sort(known)
	switch {
	case c.file == "":
		return fmt.Sprintf("%s needs the program %q, but there is no %s to define it", t.Name, name, config.FileName)
	case len(known) == 0:
		return fmt.Sprintf("%s needs the program %q, but %s defines none: add [program.%[2]s]", t.Name, name, config.FileName)
	}
	return fmt.Sprintf("%s needs the program %q, but %s defines only %s", t.Name, name, config.FileName, strings.Join(known, ", "))
}
