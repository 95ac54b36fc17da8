package config

import (
	"os"
	"strings"
)

// services are the CI services that say who they are, by the variable each
// sets in every job.
var services = []struct{ env, name string }{
	{"GITHUB_ACTIONS", "GitHub Actions"},
	{"GITLAB_CI", "GitLab CI"},
	{"BUILDKITE", "Buildkite"},
	{"CIRCLECI", "CircleCI"},
	{"JENKINS_URL", "Jenkins"},
	{"TF_BUILD", "Azure Pipelines"},
	{"TEAMCITY_VERSION", "TeamCity"},
	{"TRAVIS", "Travis CI"},
	{"APPVEYOR", "AppVeyor"},
	{"BITBUCKET_BUILD_NUMBER", "Bitbucket Pipelines"},
	{"DRONE", "Drone"},
	{"CODEBUILD_BUILD_ID", "AWS CodeBuild"},
	{"CIRRUS_CI", "Cirrus CI"},
	{"SEMAPHORE", "Semaphore"},
	{"PROW_JOB_ID", "Prow"},
}

// detectCI returns the name of the CI service the process runs under, "CI" for
// one that says no more than that, and "" outside CI. CI=false denies what the
// other variables say.
func detectCI() string {
	generic, denied := "", false
	if v, ok := os.LookupEnv("CI"); ok && v != "" {
		if truthy(v) {
			generic = "CI"
		} else {
			denied = true
		}
	}
	name := ""
	for _, s := range services {
		// All of them, always: Go's test cache hears of what is looked up.
		if v, ok := os.LookupEnv(s.env); ok && truthy(v) && name == "" {
			name = s.name
		}
	}
	switch {
	case denied:
		return ""
	case name != "":
		return name
	}
	return generic
}

func truthy(v string) bool {
	switch strings.ToLower(v) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}
