package analyzer

import (
	"fmt"
	"go/token"

	"golang.org/x/tools/go/analysis"

	"github.com/distkit/dist/requirement/directive"
)

// A Code names one finding for good: it is the Category of the diagnostic, and
// its heading in docs/findings.md.
type Code string

// Those of the directive's grammar have the names that the parser gives them.
const (
	NearMiss        = Code(directive.NearMiss)
	UnknownWord     = Code(directive.UnknownWord)
	BadValue        = Code(directive.BadValue)
	RepeatedWord    = Code(directive.RepeatedWord)
	MinOverNodes    = Code(directive.MinOverNodes)
	SecondDirective = Code("seconddirective")
	Misplaced       = Code("misplaced")
	Unused          = Code("unused")

	Disagree       = Code("disagree")
	LooseBound     = Code("loosebound")
	NoBound        = Code("nobound")
	BadOption      = Code("badoption")
	BadRequirement = Code("badrequirement")

	BeforeParallel = Code("beforeparallel")
	InFuzz         = Code("infuzz")
	OutsideTest    = Code("outsidetest")

	NoSuchNode  = Code("nosuchnode")
	NoSuchPort  = Code("nosuchport")
	EndedTest   = Code("endedtest")
	SharedFault = Code("sharedfault")

	NotPlain     = Code("notplain")
	Unregistered = Code("unregistered")
	LateRegister = Code("lateregister")
	CannotCross  = Code("cannotcross")
	LosesData    = Code("losesdata")
	OtherProcess = Code("otherprocess")
	TestOnNode   = Code("testonnode")
	ExitOnNode   = Code("exitonnode")
	NoContext    = Code("nocontext")

	NoMain         = Code("nomain")
	LateMain       = Code("latemain")
	NoBootstrap    = Code("nobootstrap")
	StaleBootstrap = Code("stalebootstrap")
)

// enabled has a flag for each finding: -dist.CODE=false switches it off.
var enabled = make(map[Code]*bool)

func init() {
	for _, f := range Findings {
		enabled[f.Code] = Analyzer.Flags.Bool(string(f.Code), true, "report: "+f.Title)
	}
}

// report reports a finding.
func (s *scan) report(code Code, at analysis.Range, fixes []analysis.SuggestedFix, format string, args ...any) {
	s.reportRelated(code, at, nil, fixes, format, args...)
}

func (s *scan) reportRelated(code Code, at analysis.Range, related []analysis.RelatedInformation, fixes []analysis.SuggestedFix, format string, args ...any) {
	if on := enabled[code]; on != nil && !*on {
		return
	}
	s.pass.Report(analysis.Diagnostic{
		Pos:            at.Pos(),
		End:            at.End(),
		Category:       string(code),
		Message:        fmt.Sprintf(format, args...),
		SuggestedFixes: fixes,
		Related:        related,
	})
}

// reportOnce reports a finding that may be met on several ways.
func (s *scan) reportOnce(code Code, at analysis.Range, format string, args ...any) {
	k := reportKey{code, at.Pos()}
	if s.reported[k] {
		return
	}
	if s.reported == nil {
		s.reported = make(map[reportKey]bool)
	}
	s.reported[k] = true
	s.report(code, at, nil, format, args...)
}

type reportKey struct {
	code Code
	pos  token.Pos
}

// A span is a stretch of source.
type span struct{ pos, end token.Pos }

func (r span) Pos() token.Pos { return r.pos }
func (r span) End() token.Pos { return r.end }

// replace is the fix that puts text in the place of r.
func replace(message string, r analysis.Range, text string) []analysis.SuggestedFix {
	return []analysis.SuggestedFix{{
		Message:   message,
		TextEdits: []analysis.TextEdit{{Pos: r.Pos(), End: r.End(), NewText: []byte(text)}},
	}}
}
