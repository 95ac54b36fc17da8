// Package nemesis does a schedule of faults to a test's cluster, one after the
// other, and puts right what it has done.
//
//	err := nemesis.Run(t, c, nemesis.Options{
//		Rounds:  10,
//		During:  func(ctx context.Context) error { return progress(ctx, 30) },
//		Started: startReplica,
//	},
//		nemesis.Kill(nemesis.Any),
//		nemesis.Pause(nemesis.Minority),
//		nemesis.Together(nemesis.Kill(nemesis.Any), nemesis.Pause(nemesis.Any)),
//	)
//
// Which fault comes when, and to which nodes it is done, follows from a seed
// and from nothing else. A test that fails logs the seed; with DIST_SEED set to
// it the test has the same schedule again.
//
// The name, and the idea of faults that are chosen, done, and undone while clients
// work, are those of Jepsen.
package nemesis
