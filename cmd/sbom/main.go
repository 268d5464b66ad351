// Command sbom prints the modules that a Go binary is made of, as CycloneDX 1.6 in JSON, for scanners that look for known
// vulnerabilities. It reads what the linker wrote into the binary, so that nothing can be on the list that is not in the binary,
// and the same binary gives the same bytes.
//
//	go run ./cmd/sbom -version 0.1.0 provisioner > provisioner.cdx.json
package main

import (
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1) //nolint:forbidigo // a program of its own, which nothing else calls
	}
}

// run prints the list of the one binary that args name.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	version := flags.String("version", "", "the version of the binary's own module, which the linker does not know")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *version == "" {
		return errors.New("usage: sbom -version VERSION BINARY")
	}
	info, err := buildinfo.ReadFile(flags.Arg(0))
	if err != nil {
		return err
	}
	encoder := cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON)
	return encoder.SetPretty(true).SetEscapeHTML(false).EncodeVersion(bill(info, *version), cdx.SpecVersion1_6)
}

// bill lists the binary as version of its module, and below it Go's standard library and each module.
func bill(info *buildinfo.BuildInfo, version string) *cdx.BOM {
	program := component(cdx.ComponentTypeApplication, info.Main.Path, version)
	library := component(cdx.ComponentTypeLibrary, "std", strings.TrimPrefix(info.GoVersion, "go"))
	parts := []cdx.Component{library}
	for _, module := range info.Deps {
		parts = append(parts, component(cdx.ComponentTypeLibrary, effective(module).Path, effective(module).Version))
	}

	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{Component: &program}
	b.Components = &parts
	return b
}

// effective is what was linked in place of a module: its replacement, if it has one.
func effective(m *debug.Module) *debug.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// component names a module as scanners know it, by a package URL.
func component(kind cdx.ComponentType, path, version string) cdx.Component {
	purl := "pkg:golang/" + path + "@" + version
	return cdx.Component{BOMRef: purl, Type: kind, Name: path, Version: version, PackageURL: purl}
}
