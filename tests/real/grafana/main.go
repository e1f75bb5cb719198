// Reads a dashboard by the types that Grafana makes from its own schema, strictly: what is missing, misspelt or of a wrong
// type is an error. Panels and queries are read by the schemas of their plugins.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

func main() {
	// Not all of them, which take a minute to compile. What is not named here is not checked; the test sees that all is.
	runtime := cog.NewRuntime()
	runtime.RegisterPanelcfgVariant(stat.VariantConfig())
	runtime.RegisterPanelcfgVariant(table.VariantConfig())
	runtime.RegisterPanelcfgVariant(timeseries.VariantConfig())
	runtime.RegisterDataqueryVariant(prometheus.VariantConfig())

	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	var read dashboard.Dashboard
	// An empty list of errors comes as an error, too.
	if err := read.UnmarshalJSONStrict(raw); err != nil && err.Error() != "" {
		fail(err)
	}
	if err := read.Validate(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
