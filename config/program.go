package config

// A Program is a [program.NAME] section: what the nodes of such a cluster run.
type Program struct{}

// Attach is an [attach.NAME] section: a cluster that runs already.
type Attach struct{}
