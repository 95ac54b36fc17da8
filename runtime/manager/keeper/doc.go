// Package keeper has the clusters of programs, and leases them: to the tests of
// its own process, or over a socket to those of others.
//
// A [Keeper] owns its clusters: it starts them when somebody asks, keeps them
// between leases because their start takes seconds, and ends them with itself.
// A [Server] lets the processes of the same user lease from it, and a [Client]
// is their side of that. Both Keeper and Client are an [Owner]. A [Finder] knows
// which owners there are and which one has what a test asks for.
//
// An owner is found by its file in the registry, a directory that is its user's
// alone. The file is locked as long as the owner lives; one that is not is
// removed by whoever comes across it. What a client holds, or waits for, ends
// with its connection, whatever ended that; and the nodes end with their owner.
package keeper
