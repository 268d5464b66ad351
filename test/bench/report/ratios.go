package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
)

const (
	tolerance = 0.15 // how far a ratio may exceed the committed one
	rounding  = 1e-9 // of binary fractions: 0.92 is 15 % more than 0.80
)

// Ratio is what a request costs a peer, as a multiple of what it costs the baseline: the median of the rounds.
type Ratio struct {
	CPU         float64 `json:"cpu"`
	Allocations float64 `json:"allocations"`
}

// Ratios are those of our own peers, by name.
type Ratios map[string]Ratio

// RatiosOf returns the ratios of our own peers that were measured beside their baseline.
func RatiosOf(runs []Run) Ratios {
	all := Ratios{}
	for _, r := range runs {
		for _, s := range r.Series {
			cpu, allocations := r.ratio(s, Sample.CPUPerRequest), r.ratio(s, Sample.AllocationsPerRequest)
			if s.Ours && cpu.Known() && allocations.Known() {
				all[s.Name] = Ratio{CPU: hundredths(cpu.Median), Allocations: hundredths(allocations.Median)}
			}
		}
	}
	return all
}

func hundredths(x float64) float64 { return math.Round(x*100) / 100 }

// ReadRatios reads what [Ratios.Write] wrote.
func ReadRatios(path string) (Ratios, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var all Ratios
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// Write writes the ratios as JSON.
func (r Ratios) Write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Against returns an error that names each of the committed ratios that r exceeds by more than 15 %, or does not have.
func (r Ratios) Against(committed Ratios) error {
	if len(committed) == 0 {
		return errors.New("no ratios to compare with")
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(committed)) {
		was := committed[name]
		is, ok := r[name]
		if !ok {
			errs = append(errs, fmt.Errorf("%s was not measured beside its baseline", name))
			continue
		}
		errs = append(errs, exceeds(name, "CPU", is.CPU, was.CPU), exceeds(name, "allocations", is.Allocations, was.Allocations))
	}
	return errors.Join(errs...)
}

func exceeds(name, what string, is, was float64) error {
	if is <= was*(1+tolerance)+rounding {
		return nil
	}
	return fmt.Errorf("%s: a request takes %.2f × the %s of the baseline, %.0f %% more than the %.2f committed",
		name, is, what, (is/was-1)*100, was)
}
