package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const sourceDefault = "default"

// MaxNodes returns the largest cluster that one test may have here, and what
// says so, such as "ci.max_nodes = 8 (distributed.toml:12, GitHub Actions
// detected)".
func (c *Config) MaxNodes() (n int, source string) {
	if c.CI != "" && c.CIConfig.MaxNodes < c.Cluster.MaxNodes {
		return c.CIConfig.MaxNodes, c.describe("ci.max_nodes")
	}
	return c.Cluster.MaxNodes, c.describe("cluster.max_nodes")
}

// DefaultNodes returns the size of the cluster for a requirement that names
// none, and what says so. It is never more than MaxNodes.
func (c *Config) DefaultNodes() (n int, source string) {
	limit, limitSource := c.MaxNodes()
	if c.Cluster.DefaultNodes > limit {
		return limit, limitSource
	}
	return c.Cluster.DefaultNodes, c.describe("cluster.default_nodes")
}

// StartTimeout returns how long a cluster may take to start here.
func (c *Config) StartTimeout() time.Duration { return c.scale(c.Cluster.StartTimeout) }

// StopTimeout returns how long a cluster may take to stop here.
func (c *Config) StopTimeout() time.Duration { return c.scale(c.Cluster.StopTimeout) }

// ReadyTimeout returns how long a node may take here until r says that it is
// ready.
func (c *Config) ReadyTimeout(r Ready) time.Duration {
	if r.Timeout == 0 {
		return c.StartTimeout()
	}
	return c.scale(r.Timeout)
}

// Grace returns how long a node may take here from the signal of s to its end.
func (c *Config) Grace(s Stop) time.Duration {
	if s.Grace == 0 {
		return c.StopTimeout()
	}
	return c.scale(s.Grace)
}

func (c *Config) scale(d time.Duration) time.Duration {
	if c.CI == "" {
		return d
	}
	return time.Duration(float64(d) * c.CIConfig.TimeoutFactor)
}

// Unavailable returns what becomes of a test whose cluster cannot be had here,
// "fail" or "skip", and what says so.
func (c *Config) Unavailable() (policy, source string) {
	if c.CI != "" {
		return c.CIConfig.Unavailable, c.describe("ci.unavailable")
	}
	return c.Fallback.Unavailable, c.describe("fallback.unavailable")
}

// Source returns where the value of a key, such as "cluster.max_nodes" or
// "program.etcd.args", comes from: "DIST_CLUSTER_MAX_NODES",
// "distributed.toml:12" or "default".
func (c *Config) Source(key string) string {
	s, set := c.sources[key]
	switch {
	case !set:
		return sourceDefault
	case s.env != "":
		return s.env
	}
	return fmt.Sprintf("%s:%d", c.display, s.key.line)
}

// describe is a key with its value and its source, for messages.
func (c *Config) describe(key string) string {
	var literal string
	for s := range c.settings() {
		if s.key == key {
			literal = s.to.literal()
		}
	}
	notes := []string{}
	text := key + " = " + literal
	if s := c.sources[key]; s.env != "" {
		text = s.env + "=" + strings.Trim(literal, `"`)
	} else {
		notes = append(notes, c.Source(key))
	}
	if strings.HasPrefix(key, "ci.") && c.CI != "" {
		notes = append(notes, c.CI+" detected")
	}
	if len(notes) == 0 {
		return text
	}
	return text + " (" + strings.Join(notes, ", ") + ")"
}

// A Setting is one key of the configuration, for people and tools to look at.
type Setting struct {
	Key    string `json:"key"`    // "cluster.max_nodes"
	Value  string `json:"value"`  // as the file would write it
	Source string `json:"source"` // see Config.Source
	Env    string `json:"env"`    // the variable that overrides it
}

// Settings returns every key with its value: the fixed sections in the order
// of the reference, then the keys that are set of programs and of attached
// clusters, by name.
func (c *Config) Settings() []Setting {
	var all []Setting
	for f := range c.settings() {
		all = append(all, Setting{f.key, f.to.literal(), c.Source(f.key), envName(f.key)})
	}
	return all
}

// settings yields the fields of Settings, under their full names.
func (c *Config) settings() func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for _, f := range c.fields() {
			if !yield(f) {
				return
			}
		}
		named := func(prefix string, fields []field) bool {
			for _, f := range fields {
				f.key = prefix + f.key
				if _, set := c.sources[f.key]; set && !yield(f) {
					return false
				}
			}
			return true
		}
		for _, name := range slices.Sorted(maps.Keys(c.Programs)) {
			if !named("program."+name+".", c.Programs[name].fields()) {
				return
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.Attach)) {
			if !named("attach."+name+".", c.Attach[name].fields()) {
				return
			}
		}
	}
}

// MarshalJSON writes the file, the CI service, what is in force and every
// setting with its source.
func (c *Config) MarshalJSON() ([]byte, error) {
	maxNodes, _ := c.MaxNodes()
	unavailable, _ := c.Unavailable()
	return json.Marshal(struct {
		File         string    `json:"file"`
		CI           string    `json:"ci"`
		MaxNodes     int       `json:"max_nodes"`
		StartTimeout string    `json:"start_timeout"`
		StopTimeout  string    `json:"stop_timeout"`
		Unavailable  string    `json:"unavailable"`
		Settings     []Setting `json:"settings"`
		Warnings     []string  `json:"warnings,omitempty"`
	}{c.File, c.CI, maxNodes, spell(c.StartTimeout()), spell(c.StopTimeout()), unavailable, c.Settings(), c.Warnings})
}
