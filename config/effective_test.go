package config

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDetectCI(t *testing.T) {
	type test struct {
		env  []string
		want string
	}
	tests := []test{
		{nil, ""},
		{[]string{"CI=true"}, "CI"},
		{[]string{"CI=1"}, "CI"},
		{[]string{"CI=woodpecker"}, "CI"},
		{[]string{"CI="}, ""},
		{[]string{"CI=0"}, ""},
		{[]string{"CI=False"}, ""},
		{[]string{"CI=true", "GITHUB_ACTIONS=true"}, "GitHub Actions"},
		{[]string{"CI=", "GITHUB_ACTIONS=true"}, "GitHub Actions"},
		{[]string{"CI=false", "GITHUB_ACTIONS=true"}, ""},
		{[]string{"GITHUB_ACTIONS=false"}, ""},
		{[]string{"CI=true", "TRAVIS=false"}, "CI"},
		{[]string{"JENKINS_URL=http://ci.internal/", "BUILDKITE=true"}, "Buildkite"},
		{[]string{"TF_BUILD=True"}, "Azure Pipelines"},
	}
	for _, s := range services {
		tests = append(tests, test{[]string{s.env + "=1"}, s.name})
	}
	for _, test := range tests {
		t.Run(strings.Join(test.env, ","), func(t *testing.T) {
			setenv(t, test.env...)
			c, err := Load(module(t, nil))
			if err != nil {
				t.Fatal(err)
			}
			if c.CI != test.want {
				t.Errorf("CI = %q, want %q", c.CI, test.want)
			}
		})
	}
}

func TestInForce(t *testing.T) {
	type answer struct {
		MaxNodes          int
		MaxNodesSource    string
		DefaultNodes      int
		Start, Stop       time.Duration
		Unavailable       string
		UnavailableSource string
	}
	tests := []struct {
		name string
		file string
		env  []string
		want answer
	}{
		{"defaults", "", nil, answer{
			16, "cluster.max_nodes = 16 (default)", 2, 30 * time.Second, 10 * time.Second, "fail", `fallback.unavailable = "fail" (default)`}},
		{"defaults under CI", "", []string{"CI=1"}, answer{
			8, "ci.max_nodes = 8 (default, CI detected)", 2, time.Minute, 20 * time.Second, "fail", `ci.unavailable = "fail" (default, CI detected)`}},
		{"file", "[cluster]\nmax_nodes = 5\n[fallback]\nunavailable = 'skip'", nil, answer{
			5, "cluster.max_nodes = 5 (distributed.toml:2)", 2, 30 * time.Second, 10 * time.Second, "skip", `fallback.unavailable = "skip" (distributed.toml:4)`}},
		{"file under CI", "[ci]\nmax_nodes = 3\ntimeout_factor = 1.5\nunavailable = 'skip'", []string{"GITHUB_ACTIONS=true"}, answer{
			3, "ci.max_nodes = 3 (distributed.toml:2, GitHub Actions detected)", 2, 45 * time.Second, 15 * time.Second,
			"skip", `ci.unavailable = "skip" (distributed.toml:4, GitHub Actions detected)`}},
		{"the smaller counts", "[cluster]\nmax_nodes = 4", []string{"CI=1"}, answer{
			4, "cluster.max_nodes = 4 (distributed.toml:2)", 2, time.Minute, 20 * time.Second, "fail", `ci.unavailable = "fail" (default, CI detected)`}},
		{"variables", "[cluster]\nmax_nodes = 4", []string{"DIST_CLUSTER_MAX_NODES=5", "DIST_FALLBACK_UNAVAILABLE=skip"}, answer{
			5, "DIST_CLUSTER_MAX_NODES=5", 2, 30 * time.Second, 10 * time.Second, "skip", "DIST_FALLBACK_UNAVAILABLE=skip"}},
		{"variables under CI", "", []string{"GITLAB_CI=true", "DIST_CI_MAX_NODES=1", "DIST_CI_TIMEOUT_FACTOR=0.5", "DIST_FALLBACK_UNAVAILABLE=skip"}, answer{
			1, "DIST_CI_MAX_NODES=1 (GitLab CI detected)", 1, 15 * time.Second, 5 * time.Second, "fail", `ci.unavailable = "fail" (default, GitLab CI detected)`}},
		{"not under CI", "[ci]\nmax_nodes = 1\ntimeout_factor = 9\nunavailable = 'skip'", nil, answer{
			16, "cluster.max_nodes = 16 (default)", 2, 30 * time.Second, 10 * time.Second, "fail", `fallback.unavailable = "fail" (default)`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := mustLoad(t, test.file, test.env...)
			var got answer
			got.MaxNodes, got.MaxNodesSource = c.MaxNodes()
			got.DefaultNodes, _ = c.DefaultNodes()
			got.Start, got.Stop = c.StartTimeout(), c.StopTimeout()
			got.Unavailable, got.UnavailableSource = c.Unavailable()
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("in force (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProgramTimeouts(t *testing.T) {
	const file = "[program.x]\ncommand = ['x']\n[program.y]\ncommand = ['y']\nready.timeout = '5s'\nstop.grace = '3s'"
	for _, test := range []struct {
		env                            string
		xReady, xGrace, yReady, yGrace time.Duration
	}{
		{"CI=", 30 * time.Second, 10 * time.Second, 5 * time.Second, 3 * time.Second},
		{"CI=1", 60 * time.Second, 20 * time.Second, 10 * time.Second, 6 * time.Second},
	} {
		t.Run(test.env, func(t *testing.T) {
			c := mustLoad(t, file, test.env)
			x, y := c.Programs["x"], c.Programs["y"]
			got := []time.Duration{c.ReadyTimeout(x.Ready), c.Grace(x.Stop), c.ReadyTimeout(y.Ready), c.Grace(y.Stop)}
			want := []time.Duration{test.xReady, test.xGrace, test.yReady, test.yGrace}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("timeouts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSource(t *testing.T) {
	c := mustLoad(t, "[cluster]\n\nmode = 'manual'\n[program.x]\ncommand = [\n 'x',\n]\nready = {\n tcp = 'a' }\nports = ['a']", "DIST_CLUSTER_SHORT=skip", "DIST_PROGRAM_X_ARGS=v")
	for key, want := range map[string]string{
		"cluster.mode":        "distributed.toml:3",
		"cluster.short":       "DIST_CLUSTER_SHORT",
		"cluster.max_nodes":   "default",
		"program.x.command":   "distributed.toml:5",
		"program.x.ready.tcp": "distributed.toml:9",
		"program.x.args":      "DIST_PROGRAM_X_ARGS",
		"program.x.reset":     "default",
	} {
		if got := c.Source(key); got != want {
			t.Errorf("Source(%q) = %q, want %q", key, got, want)
		}
	}
	if got := Default().Source("cluster.mode"); got != "default" {
		t.Errorf("Source of Default = %q", got)
	}
}

func TestJSON(t *testing.T) {
	c := mustLoad(t, "[program.x]\ncommand = ['x']", "DIST_CLUSTER_MAX_NODES=9", "GITHUB_ACTIONS=true")
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		File, CI     string
		MaxNodes     int    `json:"max_nodes"`
		StartTimeout string `json:"start_timeout"`
		Settings     []Setting
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.File != c.File || got.CI != "GitHub Actions" || got.MaxNodes != 8 || got.StartTimeout != "1m" {
		t.Errorf("JSON begins %+v", got)
	}
	for _, want := range []Setting{
		{"cluster.max_nodes", "9", "DIST_CLUSTER_MAX_NODES", "DIST_CLUSTER_MAX_NODES"},
		{"cluster.start_timeout", `"30s"`, "default", "DIST_CLUSTER_START_TIMEOUT"},
		{"program.x.command", `["x"]`, "distributed.toml:2", "DIST_PROGRAM_X_COMMAND"},
	} {
		found := false
		for _, s := range got.Settings {
			found = found || s == want
		}
		if !found {
			t.Errorf("JSON has no setting %+v:\n%s", want, data)
		}
	}
}

// TestSettingsRoundTrip writes every setting as a file and reads it back.
func TestSettingsRoundTrip(t *testing.T) {
	c := mustLoad(t, `
		cluster = { mode = "manual", start_timeout = "90s" }
		program.x = { command = ["x"], ports = ["a"], args = ["{{.Addr \"a\"}}"], env = { "A.B" = "\"\u0001é\\" }, ready.http = "a", reset = ["wipe"] }
		attach.y.nodes = [{ a = "h:1" }]`)
	var file strings.Builder
	for _, s := range c.Settings() {
		file.WriteString(s.Key + " = " + s.Value + "\n")
	}
	if diff := cmp.Diff(c, mustLoad(t, file.String()), values); diff != "" {
		t.Errorf("configuration written and read (-want +got):\n%s\n%s", diff, file.String())
	}
}
