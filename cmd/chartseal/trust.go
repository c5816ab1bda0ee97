// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"time"

	"github.com/spf13/cobra"

	"github.com/chartseal/chartseal/builtins/config"
	"github.com/chartseal/chartseal/builtins/trust"
	"github.com/chartseal/chartseal/builtins/trust/inventory"
	"github.com/chartseal/chartseal/builtins/trust/tuf"
)

// trustCommand is `chartseal trust`. It reads the configuration itself: a
// trust directory that is not good must not keep it from being mended.
func trustCommand(path *string) *cobra.Command {
	parent := own(&cobra.Command{
		Use:               "trust",
		Short:             "List and refresh the trust directory",
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	parent.AddCommand(own(trustListCommand(path)), own(trustUpdateCommand(path)))
	return parent
}

func exitOf(err error) int {
	switch {
	case errors.As(err, new(tuf.Refused)):
		return exitRejected
	case errors.As(err, new(tuf.Unavailable)):
		return exitUndecided
	}
	return exitUsage
}

func trustListCommand(path *string) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List keyrings, public keys and trusted roots, and warn of what is weak or ends soon",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadTrust(*path)
			if err != nil {
				return err
			}
			store, err := trust.Open(cfg.Trust.Directory, cfg.Limits)
			if err != nil {
				return err
			}
			return printInventory(cmd.OutOrStdout(), format, inventory.Of(cfg.Trust.Directory, store.Current(), time.Now()))
		},
	}
	cmd.Flags().StringVarP(&format, "output", "o", "table", "table or json")
	return cmd
}

func printInventory(w io.Writer, format string, inv *inventory.Inventory) error {
	switch format {
	case "json":
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(inv)
	case "table":
		return inv.WriteTable(w)
	}
	return fmt.Errorf("output %q is neither table nor json", format)
}

func trustUpdateCommand(path *string) *cobra.Command {
	var name, mirror, root string
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Refresh a trusted root through The Update Framework",
		Long: `Refresh roots/<name>.json in the trust directory, and nothing else, from the
mirror of a sigstore instance. This is the only command that contacts anything
for the sake of trust. What is not signed by the instance, is out of date, or
is older than what an earlier update brought, is refused, and the old file stays.

Exit codes: 0 done, 1 refused, 2 wrong usage or trust directory, 3 mirror out of reach.`,
		Example: `  chartseal trust update
  chartseal trust update --mirror file:///media/tuf
  chartseal trust update --name ours --mirror https://tuf.example.com --root root.json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadTrust(*path)
			if err != nil {
				return err
			}
			if root != "" && !(cmd.Flags().Changed("name") && cmd.Flags().Changed("mirror")) {
				return errors.New("--root is of another instance than the public good one: give its --mirror, and a --name for what it is trusted with")
			}
			from, err := mirrorOf(cfg, mirror, root)
			if err != nil {
				return err
			}
			return update(cmd, cfg, name, from)
		},
	}
	cmd.Flags().StringVar(&name, "name", tuf.PublicGood, "name of the trusted root in policies")
	cmd.Flags().StringVar(&mirror, "mirror", "", "https:// or file:// URL of the TUF repository (default sigstore's public good instance)")
	cmd.Flags().StringVar(&root, "root", "", "root.json to start from, if the mirror is of another instance")
	return cmd
}

// loadTrust is the configuration, which must name a trust directory.
func loadTrust(path string) (*config.Config, error) {
	cfg, err := load(path)
	if err == nil && cfg.Trust.Directory == "" {
		err = configError{errors.New("trust.directory is not set")}
	}
	return cfg, err
}

func mirrorOf(cfg *config.Config, address, root string) (tuf.Mirror, error) {
	m := tuf.Mirror{URL: address}
	if u, err := url.Parse(address); err == nil {
		listing, _ := cfg.Registry(u.Host)
		m.Insecure = listing.Insecure
	}
	if root == "" {
		return m, nil
	}
	raw, err := os.ReadFile(root)
	m.Root = raw
	return m, err
}

func update(cmd *cobra.Command, cfg *config.Config, name string, from tuf.Mirror) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	result, err := tuf.Refresh(ctx, cfg.Trust.Directory, name, from, cfg.Limits)
	if err != nil {
		return err
	}
	state := "unchanged"
	if result.Changed {
		state = "updated"
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s: %s\n", result.File, state, result.Digest)
	return err
}
