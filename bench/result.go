package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// A result is a line as it is reported. Value and floor are medians over the
// rounds; the spreads are the first and third quartile.
type result struct {
	Name        string     `json:"name"`
	Value       float64    `json:"value"`
	Floor       float64    `json:"floor"`
	Ratio       float64    `json:"ratio"`
	Unit        string     `json:"unit"`
	ValueSpread [2]float64 `json:"value_spread"`
	FloorSpread [2]float64 `json:"floor_spread"`
	Min         float64    `json:"min"`
	P95         float64    `json:"p95"` // of single operations, where a round has many; of rounds, where not
	Rounds      int        `json:"rounds"`
	Goal        string     `json:"goal,omitempty"`
	Met         *bool      `json:"met,omitempty"`
	Measures    string     `json:"measures"`
	Against     string     `json:"against"`
}

var units = map[string]float64{"µs": float64(time.Microsecond), "ms": float64(time.Millisecond), "MiB": 1 << 20}

func summarize(l line, samples []sample) result {
	unit := units[l.unit]
	var ours, floors, p95s []float64
	for _, s := range samples {
		ours, floors, p95s = append(ours, s.ours/unit), append(floors, s.floor/unit), append(p95s, s.p95/unit)
	}
	value, floor := quantile(ours, 0.5), quantile(floors, 0.5)
	r := result{
		Name: l.name, Unit: l.unit, Rounds: len(samples), Measures: l.doc, Against: l.floor,
		Value: round(value), Floor: round(floor), Ratio: round(value / floor),
		ValueSpread: [2]float64{round(quantile(ours, 0.25)), round(quantile(ours, 0.75))},
		FloorSpread: [2]float64{round(quantile(floors, 0.25)), round(quantile(floors, 0.75))},
		Min:         round(slices.Min(ours)),
		P95:         round(quantile(p95s, 0.5)),
		Goal:        l.goal.String(),
	}
	if r.P95 == 0 {
		r.P95 = round(quantile(ours, 0.95))
	}
	if r.Goal != "" {
		met := (l.goal.ratio == 0 || value/floor <= l.goal.ratio) &&
			(l.goal.value == 0 || value*unit < float64(l.goal.value)) &&
			(l.goal.more == 0 || value-floor <= l.goal.more)
		r.Met = &met
	}
	return r
}

// quantile interpolates between the two nearest of the values.
func quantile(values []float64, q float64) float64 {
	v := slices.Sorted(slices.Values(values))
	at := q * float64(len(v)-1)
	low := int(at)
	if low+1 == len(v) {
		return v[low]
	}
	return v[low] + (at-float64(low))*(v[low+1]-v[low])
}

// round keeps three digits: there are no more in these measurements.
func round(v float64) float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}

func writeTable(w io.Writer, in *place, results []result) error {
	fmt.Fprintf(w, "%s/%s, %d CPUs, %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version())
	if b := in.binary; b != nil {
		race := ""
		if b.race {
			race = ", -race"
		}
		fmt.Fprintf(w, "%s; test binary of %s, %.1f MiB", race, b.pkg, float64(b.size)/(1<<20))
	}
	if t := in.tree; t != nil {
		fmt.Fprintf(w, "; module %s, %d packages with %d test files", t.module, len(t.needy)+len(t.idle), t.tests)
	}
	fmt.Fprint(w, "; medians (quartiles)\n\n")
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "LINE\tROUNDS\tOURS\tFLOOR\tRATIO\tGOAL\tMEASURES")
	for _, r := range results {
		goal := r.Goal
		if r.Met != nil && !*r.Met {
			goal += ", missed"
		}
		fmt.Fprintf(t, "%s\t%d\t%g %s (%g–%g)\t%g %s (%g–%g)\t%.2f\t%s\t%s\n", r.Name, r.Rounds,
			r.Value, r.Unit, r.ValueSpread[0], r.ValueSpread[1],
			r.Floor, r.Unit, r.FloorSpread[0], r.FloorSpread[1], r.Ratio, goal, r.Measures)
	}
	return t.Flush()
}
