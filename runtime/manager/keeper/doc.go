// Package keeper has the clusters of programs, and leases them: to the tests of
// its own process, or over a socket to those of others.
//
// A [Keeper] owns its clusters: it starts them when somebody asks, keeps them
// between leases because their start takes seconds, and ends them with itself.
// A [Client] leases from the Keeper of another process, which dist test and
// dist up have. Both are an [Owner]. The registry is how a Client finds it.
package keeper
