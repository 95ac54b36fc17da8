package analyzer

// A Finding is what there is to say about one code, for documentation and for
// those who act on diagnostics.
type Finding struct {
	Code  Code
	Title string // a phrase, as a heading
	Text  string // why it matters and what to do, in Markdown
	Bad   string // an example
	Good  string // the same, put right
	Plan  bool   // leaves in doubt what the package's tests need: nothing should be generated
}

// Lookup returns the finding whose code a diagnostic has for its category.
func Lookup(category string) (Finding, bool) {
	for _, f := range Findings {
		if string(f.Code) == category {
			return f, true
		}
	}
	return Finding{}, false
}

// Findings are all that the Analyzer may report, in the order of the
// documentation, docs/findings.md, which is written from here.
var Findings = []Finding{
	// The directive.
	{
		Code:  NearMiss,
		Title: "comment that looks like a directive and is none",
		Text: "Go knows a directive by its form: `//`, a tool's name, a colon and a word, all lower case and without spaces between. " +
			"It takes anything else for prose, and the test would run without what it needs.",
		Bad:  "// dist:nodes=3\nfunc TestLeader(t *testing.T) {",
		Good: "//dist:nodes=3\nfunc TestLeader(t *testing.T) {",
		Plan: true,
	},
	{
		Code:  UnknownWord,
		Title: "unknown word in a directive",
		Text:  "The words are `nodes=N`, `min=N`, `program=NAME`, `ports=NAME,NAME`, `reuse`, `shared`, `optional` and `timeout=DURATION`, all lower case. Where one of them is near, it is offered.",
		Bad:   "//dist:node=3",
		Good:  "//dist:nodes=3",
		Plan:  true,
	},
	{
		Code:  BadValue,
		Title: "word with a missing, malformed or impossible value",
		Text:  "Sizes are decimal numbers from 1 to 4096 without sign or leading zero, names are of letters, digits, `-` and `_`, timeouts are durations of Go above 0. No spaces around `=` or `,`; a trailing comment has one before its `//`.",
		Bad:   "//dist:nodes 3 ports=raft, http",
		Good:  "//dist:nodes=3 ports=raft,http",
		Plan:  true,
	},
	{
		Code:  RepeatedWord,
		Title: "word given twice in one directive",
		Text:  "Which of the two was meant nobody can know. The first is taken.",
		Bad:   "//dist:nodes=3 reuse nodes=5",
		Good:  "//dist:nodes=5 reuse",
		Plan:  true,
	},
	{
		Code:  MinOverNodes,
		Title: "min above nodes",
		Text:  "`min` is the smallest size at which the test still means something, `nodes` the size it asks for.",
		Bad:   "//dist:nodes=3 min=5",
		Good:  "//dist:nodes=5 min=3",
		Plan:  true,
	},
	{
		Code:  SecondDirective,
		Title: "second directive for one test or one package",
		Text:  "A test has one directive, with all its words; a package has one default, in one of its test files.",
		Bad:   "//dist:nodes=3\n//dist:ports=raft\nfunc TestLeader(t *testing.T) {",
		Good:  "//dist:nodes=3 ports=raft\nfunc TestLeader(t *testing.T) {",
		Plan:  true,
	},
	{
		Code:  Misplaced,
		Title: "directive where it means nothing",
		Text: "A directive belongs into the doc comment of a `TestXxx`, `BenchmarkXxx` or `FuzzXxx`, or above the package clause of a `_test.go` file, " +
			"where it is the default for all requirement calls of the package that name no size. A blank line after a comment separates it from the declaration below.",
		Bad:  "//dist:nodes=3\n\nfunc TestLeader(t *testing.T) {",
		Good: "//dist:nodes=3\nfunc TestLeader(t *testing.T) {",
		Plan: true,
	},
	{
		Code:  Unused,
		Title: "directive of a test that never calls dist.Require",
		Text: "The directive states what the test needs, `dist.Require` gets it. Without the call the test runs alone, and passes without having tested what it should. " +
			"Nothing is reported where the test hands its `t` on in a way that cannot be followed, such as to a function value or a testing suite, or runs subtests that come from elsewhere, such as from a table of the package.",
		Bad:  "//dist:nodes=3\nfunc TestLeader(t *testing.T) {\n\tc := newFakeCluster()",
		Good: "//dist:nodes=3\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)",
	},

	// Directives and calls.
	{
		Code:  Disagree,
		Title: "directive and call that disagree",
		Text: "What both name must be the same. Only `nodes` may be less in the call: a directive is the upper bound of a size that the test computes. " +
			"The call may be in a helper, of another package too; the text then tells the way there.",
		Bad:  "//dist:nodes=3\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t, dist.Nodes(5))",
		Good: "//dist:nodes=5\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)",
		Plan: true,
	},
	{
		Code:  LooseBound,
		Title: "directive that says more nodes than any call asks for",
		Text:  "All sizes the test asks for are constants, and all are below what its directive says: the test runs with fewer nodes than its first line tells.",
		Bad:   "//dist:nodes=5\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t, dist.Nodes(3))",
		Good:  "//dist:nodes=3\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)",
	},
	{
		Code:  NoBound,
		Title: "size that is not constant, without a directive",
		Text: "What a test needs must be known before it runs, so that its cluster can be started early and kept within limits. " +
			"If the size is computed, or the options come from elsewhere, a directive on the test gives the upper bound.",
		Bad:  "func TestSizes(t *testing.T) {\n\tfor n := 1; n <= 5; n++ {\n\t\tt.Run(strconv.Itoa(n), func(t *testing.T) { dist.Require(t, dist.Nodes(n)) })",
		Good: "//dist:nodes=5\nfunc TestSizes(t *testing.T) {\n\tfor n := 1; n <= 5; n++ {\n\t\tt.Run(strconv.Itoa(n), func(t *testing.T) { dist.Require(t, dist.Nodes(n)) })",
		Plan: true,
	},
	{
		Code:  BadOption,
		Title: "option with an impossible value, or given twice",
		Text:  "The bounds are those of the directive's words.",
		Bad:   "dist.Require(t, dist.Nodes(0))",
		Good:  "dist.Require(t, dist.Nodes(1))",
		Plan:  true,
	},
	{
		Code:  BadRequirement,
		Title: "requirement that cannot be met",
		Text:  "Directive, call and package default are right one by one and make no sense together: a minimum above the size, or `shared` without a program. Nodes of the test binary are never shared.",
		Bad:   "dist.Require(t, dist.Nodes(3), dist.Shared())",
		Good:  "dist.Require(t, dist.Nodes(3), dist.Program(\"etcd\"), dist.Shared())",
		Plan:  true,
	},

	// Where requirement calls can be.
	{
		Code:  BeforeParallel,
		Title: "dist.Require before t.Parallel",
		Text:  "`t.Parallel` pauses the test until the serial ones are done. It would hold its cluster all that time, and where there is room for one cluster only, the next test would wait for it for ever.",
		Bad:   "c := dist.Require(t)\nt.Parallel()",
		Good:  "t.Parallel()\nc := dist.Require(t)",
	},
	{
		Code:  InFuzz,
		Title: "dist.Require inside f.Fuzz",
		Text:  "The function given to `f.Fuzz` runs for every input, many times a second. The cluster belongs to the fuzz target around it.",
		Bad:   "f.Fuzz(func(t *testing.T, in []byte) {\n\tc := dist.Require(t)",
		Good:  "c := dist.Require(f)\nf.Fuzz(func(t *testing.T, in []byte) {",
	},
	{
		Code:  OutsideTest,
		Title: "dist.Require outside a test",
		Text:  "A lease ends with its test. `TestMain`, `init`, an example, the value of a package variable and a function that runs on a node have none. What several tests share is kept between them by itself: say `reuse`.",
		Bad:   "func TestMain(m *testing.M) {\n\tcluster = dist.Require(nil)",
		Good:  "func TestLeader(t *testing.T) {\n\tc := dist.Require(t, dist.Reuse())",
	},

	// Clusters in a test's hands.
	{
		Code:  NoSuchNode,
		Title: "node that the cluster does not have",
		Text: "Indexes go from 0 to one below the size. What is compared is the largest cluster that the test can have, as its directive and its calls say; " +
			"the same goes for a loop that counts to a constant and takes a node in every round. With `c.Size()` and `c.Nodes()` a test says no number twice.",
		Bad:  "c := dist.Require(t, dist.Nodes(3))\nc.Node(3).Kill()",
		Good: "c := dist.Require(t, dist.Nodes(3))\nc.Node(c.Size() - 1).Kill()",
	},
	{
		Code:  NoSuchPort,
		Title: "port that the test has not asked for",
		Text: "`Node.Addr` and `Cluster.Addrs` take the names of `ports=` or `dist.Ports`; any other fails the test. " +
			"Reported are constant names in the test itself. What nodes ask for, and the ports of programs, which distributed.toml has, are for the run to find.",
		Bad:  "//dist:nodes=3 ports=raft\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)\n\tdial(t, c.Node(0).Addr(\"rpc\"))",
		Good: "//dist:nodes=3 ports=raft,rpc\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)\n\tdial(t, c.Node(0).Addr(\"rpc\"))",
	},
	{
		Code:  EndedTest,
		Title: "cluster used after its test",
		Text: "A cluster ends with the test, or the subtest, whose `t` it was asked with. Another test that finds it in a package variable, the test around the subtest, and a goroutine that runs on have nodes that are gone, or that belong to somebody else by now. " +
			"Goroutines are reported where nothing can end them, and where the test ends as soon as it has started them.",
		Bad:  "var c *dist.Cluster\n\nfunc TestStart(t *testing.T) { c = dist.Require(t) }\n\nfunc TestKill(t *testing.T) { c.Node(0).Kill() }",
		Good: "func TestKill(t *testing.T) {\n\tc := dist.Require(t, dist.Reuse())\n\tc.Node(0).Kill()\n}",
	},
	{
		Code:  SharedFault,
		Title: "fault in a cluster that others use",
		Text:  "`shared` says that others may use the cluster at the same time. What this test kills, stops, restarts, pauses or cuts off is theirs, too, be it by a helper, of another package or not. What a helper does only under a condition is not reported: it may be meant for other tests.",
		Bad:   "//dist:nodes=3 program=etcd shared\nfunc TestFailover(t *testing.T) {\n\tdist.Require(t).Node(0).Kill()",
		Good:  "//dist:nodes=3 program=etcd\nfunc TestFailover(t *testing.T) {\n\tdist.Require(t).Node(0).Kill()",
	},

	// Functions and values that go to nodes.
	{
		Code:  NotPlain,
		Title: "function that a node cannot look up",
		Text: "A node runs the same binary and finds the function by its place in it. A function literal or a method value has variables bound to it that exist in this process only; " +
			"an instance of a generic function for a type parameter, or for a type declared inside a function, has no name that generated code could use.",
		Bad:  "dist.Call(ctx, n, func(ctx context.Context, in int) (int, error) { return in + base, nil }, 1)",
		Good: "func add(ctx context.Context, in [2]int) (int, error) { return in[0] + in[1], nil }\n\ndist.Call(ctx, n, add, [2]int{1, base})",
	},
	{
		Code:  Unregistered,
		Title: "function of a helper package that is not registered",
		Text:  "distgen registers what test files name. A package that is no test itself registers its node functions in an init function, for all test binaries it becomes part of.",
		Bad:   "func Start(ctx context.Context, n *dist.Node) (string, error) {\n\treturn dist.Call(ctx, n, start, struct{}{})\n}",
		Good:  "func init() { dist.Register(start) }",
	},
	{
		Code:  LateRegister,
		Title: "dist.Register outside an init function",
		Text:  "A node runs the init functions of the binary and then waits for calls. It runs nothing else that could register a function, or an error.",
		Bad:   "func TestLeader(t *testing.T) {\n\tdist.Register(start)",
		Good:  "func init() { dist.Register(start) }",
	},
	{
		Code:  CannotCross,
		Title: "argument or result that cannot leave its process",
		Text: "Arguments and results cross by value, as CBOR. Channels, functions, locks, contexts, interfaces and complex numbers have no value that means anything to the other side. " +
			"A type with MarshalBinary and UnmarshalBinary, or the pair for text or CBOR, says itself how it crosses.",
		Bad:  "type Config struct {\n\tPeers []string\n\tDone  chan struct{}\n}",
		Good: "type Config struct {\n\tPeers []string\n}",
	},
	{
		Code:  LosesData,
		Title: "argument or result that arrives incomplete",
		Text:  "Only exported fields cross, and not those with the tag `cbor:\"-\"` or `json:\"-\"`. A type with MarshalBinary and UnmarshalBinary, or the pair for text or CBOR, says itself how it crosses; so does one that has them from an embedded field, such as a time.Time, and then what is beside that is lost. Of two fields that cross by the same name, one of them in an embedded struct or renamed by its tag, at most one arrives.",
		Bad:   "type Config struct {\n\tpeers []string\n}",
		Good:  "type Config struct {\n\tPeers []string\n}",
	},

	// What functions do on nodes.
	{
		Code:  OtherProcess,
		Title: "package variable that is meant to be in two processes",
		Text: "A node is a process of its own, with package variables of its own. What a test sets before the call a node does not see, and what a function sets on a node the test does not. Values cross as arguments and results. " +
			"Reported are variables that only tests set and test files' functions read on nodes, and such that are set on nodes only and read by the test itself.",
		Bad:  "var peers []string\n\nfunc TestLeader(t *testing.T) {\n\tc := dist.Require(t)\n\tpeers = c.Addrs(\"raft\")\n\tdist.CallAll(t.Context(), c, start, struct{}{})",
		Good: "func TestLeader(t *testing.T) {\n\tc := dist.Require(t)\n\tdist.CallAll(t.Context(), c, start, c.Addrs(\"raft\"))",
	},
	{
		Code:  TestOnNode,
		Title: "test used by a function on a node",
		Text:  "There is no test in a node's process: a package variable that holds one is nil there. A function on a node returns an error, and the test decides what that means.",
		Bad:   "var tt *testing.T\n\nfunc start(ctx context.Context, dir string) (string, error) {\n\ttt.Log(\"starting\")",
		Good:  "func start(ctx context.Context, dir string) (string, error) {\n\tlog.Print(\"starting\") // in the node's log",
	},
	{
		Code:  ExitOnNode,
		Title: "function that ends its node for an error",
		Text: "The test would learn that the node is gone, and not why. `log.Fatal` is reported anywhere in a node function and what it calls in test files, `os.Exit` where an error is the reason. " +
			"`os.Exit` under any other condition, or none, is taken for a crash that the test wants.",
		Bad:  "func start(ctx context.Context, dir string) (string, error) {\n\tdb, err := open(dir)\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}",
		Good: "func start(ctx context.Context, dir string) (string, error) {\n\tdb, err := open(dir)\n\tif err != nil {\n\t\treturn \"\", err\n\t}",
	},
	{
		Code:  NoContext,
		Title: "function on a node that its context cannot end",
		Text: "The context of a node function ends with the call, and so does that of the test when it is over. Reported are functions that cannot return (`select {}`, a loop that nothing leaves), those that never look at their context and pass `context.Background()` on, and `dist.Self` of such a context, which panics. " +
			"What has to outlive the call takes `dist.Self(ctx).Context()`, which ends with the lease.",
		Bad:  "func serve(ctx context.Context, addr string) (struct{}, error) {\n\tgo server.Serve(addr)\n\tselect {}\n}",
		Good: "func serve(ctx context.Context, addr string) (struct{}, error) {\n\tgo server.Serve(addr)\n\t<-ctx.Done()\n\treturn struct{}{}, server.Close()\n}",
	},

	// The generated files.
	{
		Code:  NoMain,
		Title: "TestMain that does not call dist.Main",
		Text:  "A node is the test binary run again. `dist.Main` decides which of the two this process is; without it every node would run the tests, and start nodes for them.",
		Bad:   "func TestMain(m *testing.M) { os.Exit(m.Run()) }",
		Good:  "func TestMain(m *testing.M) { os.Exit(dist.Main(m)) }",
	},
	{
		Code:  LateMain,
		Title: "TestMain with statements before dist.Main",
		Text:  "What comes before `dist.Main` runs in every node. `dist.Main` accepts anything with a `Run() int`, and calls it in the test process only: set-up and clean-up go there.",
		Bad:   "func TestMain(m *testing.M) {\n\tsetUp()\n\tos.Exit(dist.Main(m))\n}",
		Good: "type withSetUp struct{ *testing.M }\n\nfunc (m withSetUp) Run() int {\n\tsetUp()\n\tdefer cleanUp()\n\treturn m.M.Run()\n}\n\n" +
			"func TestMain(m *testing.M) { os.Exit(dist.Main(withSetUp{m})) }",
	},
	{
		Code:  NoBootstrap,
		Title: "tests that need clusters, and no generated bootstrap",
		Text:  "`dist_gen_test.go`, or `dist_gen_x_test.go` for the external test package, tells the test binary what its tests need and what its nodes can run. Commit it. `-dist.bootstrap=false` switches the check off.",
		Bad:   "$ ls\nraft.go  raft_test.go",
		Good:  "$ go tool distgen\n$ ls\ndist_gen_test.go  raft.go  raft_test.go",
	},
	{
		Code:  StaleBootstrap,
		Title: "generated bootstrap that is out of date",
		Text:  "Tests, directives or node functions have changed since. What the file says and what the source says are compared by a digest that does not depend on positions.",
		Bad:   "$ go vet -vettool=\"$PWD/distvet\" ./raft\nraft/dist_gen_test.go:24:11: stale bootstrap: ...",
		Good:  "$ go generate ./raft",
	},
}
