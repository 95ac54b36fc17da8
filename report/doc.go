// Package report turns the events of a run into one page of HTML that explains
// them: a lane for the test process and for each node, calls as arrows, faults
// as bands, failures first with what led to them. The page is one file that
// asks for nothing else.
//
// Reading is lenient, as what there is to be explained may have been killed
// while it was written. What failed and what led to it is decided here, in Go,
// and is the same in the page and in the JSON of dist report; the files in
// assets only draw it. See docs/report.md.
package report
