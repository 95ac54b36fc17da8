// Package config is the room for distributed.toml: its schema and defaults,
// the strict reading of it, the environment variables that override it, and
// the detection of CI services.
//
// One table, the one in keys.go, says for every key what its value may be,
// where it is kept and what it means. Reading the file, reading the
// environment, the reference in docs/configuration.md and the example at the
// root of the repository all follow it, so that none of them can know of a key
// that the others do not.
//
// Everything is read through [os.LookupEnv], [os.Open] and [os.Stat], each
// variable always and in a fixed order, and nothing is kept between calls: a
// [Load] inside testing's m.Run tells Go's test cache all that the answer
// depends on.
package config
