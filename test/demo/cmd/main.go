// SPDX-License-Identifier: Apache-2.0

// Command cmd runs the demo.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/chartseal/chartseal/test/demo"
)

func main() {
	chartseal := flag.String("chartseal", "bin/chartseal", "the command that judges")
	dir := flag.String("dir", "demo", "where everything is left")
	serve := flag.Bool("serve", false, "keep repository and registry up until interrupted")
	flag.Parse()
	if err := demo.Run(os.Stdout, *chartseal, *dir, *serve); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}
