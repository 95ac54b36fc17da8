package analyzer

import (
	"go/ast"
	"go/token"
	"go/types"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"golang.org/x/tools/go/analysis"

	"github.com/distkit/dist/requirement/directive"
)

const doc = `check distributed tests and find what they need

The dist analyzer reads the //dist:nodes=3 directives of a package's tests and
the calls of github.com/distkit/dist in its code. It reports mistakes that the
compiler cannot see: a directive that Go takes for prose, a directive and a call
that disagree, a function that cannot run on a node, a value that would be lost
on its way there, a TestMain that would run in every node, a bootstrap that
distgen has to write again.`

// Analyzer is the pass. Its result is a *Result, also where it reports findings.
var Analyzer = &analysis.Analyzer{
	Name:       "dist",
	Doc:        doc,
	URL:        "https://github.com/distkit/dist/blob/main/docs/findings.md",
	Run:        run,
	ResultType: reflect.TypeFor[*Result](),
	FactTypes:  []analysis.Fact{new(requires), new(isRegistered), new(undiverted), new(diverts), new(disturbs), new(networkFaults)},
}

// wantBootstrap is a flag for those who know that the bootstrap is elsewhere,
// or about to be written.
var wantBootstrap bool

func init() {
	Analyzer.Flags.BoolVar(&wantBootstrap, "bootstrap", true, "report packages whose generated files are missing or stale")
}

// distPath is the import path of the package that test authors use.
const distPath = "github.com/distkit/dist"

// A scan is one run of the pass.
type scan struct {
	pass    *analysis.Pass
	files   []*file // sorted by name
	ignored []*file // of other builds: syntax without types
	funcs   []*function
	byObj   map[*types.Func]*function
	byDecl  map[*ast.FuncDecl]*function
	def     *directive.Directive // the package's default; nil if there is none
	uses    []use                // of package dist, in source order
	values  []value              // node functions that test files name as values, likewise
	lits    map[*types.Var]bool  // see literals

	assignedVars  map[*types.Var]bool // see assigned
	facts         map[*types.Func]*requires
	leading       map[*function]bool   // see leadingTo, to requirement calls
	parting       map[*function]bool   // see parts
	paramsFound   bool                 // see params
	addressedVars map[*types.Var]bool  // see addressed
	namedOutside  map[*types.Func]bool // by initializers of variables
	nodeFuncs     []*function          // see nodeFunctions
	nodeArgs      map[token.Pos]bool   // where they are named to be sent
	reported      map[reportKey]bool   // see reportOnce

	result *Result
}

// A file is one Go file of the package.
type file struct {
	syntax     *ast.File
	name       string // base name
	test       bool   // *_test.go
	generated  bool   // by distgen
	constraint string // build constraint, as an expression; "" if none
}

// A function is one with a body, of the files that distgen did not write.
type function struct {
	decl      *ast.FuncDecl
	obj       *types.Func // nil in ignored files
	file      *file
	kind      testKind
	directive *directive.Directive
	edges     []edge

	faults   []fault // in its body
	network  bool    // names a method that injects network faults
	params   []int   // see scan.params
	access   *access // see scan.access
	explored bool    // reached is known
	reached  []*reached
}

func run(pass *analysis.Pass) (any, error) {
	s := &scan{
		pass:   pass,
		byObj:  make(map[*types.Func]*function),
		byDecl: make(map[*ast.FuncDecl]*function),
		result: new(Result),
	}
	if pass.Pkg.Name() == "main" && strings.HasSuffix(pass.Pkg.Path(), ".test") {
		return s.result, nil // the main package that the go command writes
	}
	s.readFiles()
	for _, f := range slices.Concat(s.files, s.ignored) {
		s.readDirectives(f)
	}
	if s.concernsDist() {
		for _, f := range s.files {
			if !f.generated {
				s.readCalls(f)
			}
		}
		s.exportFacts()
		s.exportMains()
	}
	s.plan()
	s.findFunctions()
	s.findTestMain()
	s.finishPlan()

	s.checkNodeCalls()
	s.checkNodeFunctions()
	s.checkProcesses()
	s.checkRequireCalls()
	s.checkClusters()
	s.checkTestMain()
	if wantBootstrap {
		s.checkBootstrap()
	}
	return s.result, nil
}

// readFiles sorts out the package's files and functions.
func (s *scan) readFiles() {
	for _, syntax := range s.pass.Files {
		s.files = append(s.files, s.newFile(syntax))
	}
	slices.SortStableFunc(s.files, func(a, b *file) int { return strings.Compare(a.name, b.name) })
	for _, f := range s.files {
		s.readDecls(f)
	}
	s.readIgnored()
}

func (s *scan) newFile(syntax *ast.File) *file {
	// Not Position: a //line comment must not make a test file of another.
	name := filepath.Base(s.pass.Fset.File(syntax.FileStart).Name())
	return &file{
		syntax:     syntax,
		name:       name,
		test:       strings.HasSuffix(name, "_test.go"),
		generated:  isBootstrap(name, syntax),
		constraint: fileConstraint(name, syntax),
	}
}

func (s *scan) readDecls(f *file) {
	if f.generated {
		return
	}
	for _, decl := range f.syntax.Decls {
		decl, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		fn := &function{decl: decl, file: f}
		if f.test {
			fn.kind = kindOf(decl)
		}
		s.byDecl[decl] = fn
		if obj, ok := s.pass.TypesInfo.Defs[decl.Name].(*types.Func); ok {
			fn.obj = obj
			s.byObj[obj] = fn
			s.funcs = append(s.funcs, fn)
		}
	}
}

// isBootstrap reports whether distgen wrote the file. The name alone does not
// say so: a file of that name that is not ours is read as any other.
func isBootstrap(name string, f *ast.File) bool {
	if !strings.HasPrefix(name, "dist_gen_") || !strings.HasSuffix(name, "_test.go") {
		return false
	}
	for _, group := range f.Comments {
		if group.Pos() > f.Package {
			break
		}
		for _, c := range group.List {
			if c.Text == "// Code generated by distgen. DO NOT EDIT." {
				return true
			}
		}
	}
	return false
}

// fileOf returns the file around pos, nil if it is in none.
func (s *scan) fileOf(pos token.Pos) *file {
	for _, f := range s.files {
		if f.syntax.FileStart <= pos && pos < f.syntax.FileEnd {
			return f
		}
	}
	return nil
}

// concernsDist reports whether the package can have to do with dist at all:
// most of the packages that facts are computed for cannot.
func (s *scan) concernsDist() bool {
	if isDistPath(s.pass.Pkg.Path()) {
		return true
	}
	for _, p := range s.pass.Pkg.Imports() {
		if isDistPath(p.Path()) {
			return true
		}
	}
	return len(s.pass.AllObjectFacts()) > 0 // of packages it imports
}

func isDistPath(path string) bool {
	return path == distPath || strings.HasSuffix(path, "/vendor/"+distPath)
}

// A testKind is the letter by which package testing tells test functions apart:
// T, B or F; 0 for what is none.
type testKind byte

// kindOf goes by syntax alone, as the go command does.
func kindOf(decl *ast.FuncDecl) testKind {
	params := decl.Type.Params.List
	if decl.Recv != nil || decl.Type.TypeParams != nil || decl.Type.Results != nil || len(params) != 1 || len(params[0].Names) > 1 {
		return 0
	}
	ptr, ok := params[0].Type.(*ast.StarExpr)
	if !ok {
		return 0
	}
	var param string
	switch x := ptr.X.(type) {
	case *ast.Ident:
		param = x.Name
	case *ast.SelectorExpr:
		param = x.Sel.Name
	}
	for prefix, kind := range map[string]testKind{"Test": 'T', "Benchmark": 'B', "Fuzz": 'F'} {
		if isTestName(decl.Name.Name, prefix) && param == string(kind) {
			return kind
		}
	}
	return 0
}
