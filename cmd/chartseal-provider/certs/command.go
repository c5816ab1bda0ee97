// SPDX-License-Identifier: Apache-2.0

package certs

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const long = `Makes a CA and a serving certificate, keeps them in a Secret, and writes the CA
into the caBundle of the Provider resources of Gatekeeper. Certificates are
renewed, and a new CA takes over in three steps, before their time is over, and
without a moment in which calls fail. Several replicas may run.

It runs until it is told to end, with --once until there is nothing more to do
now. A rotation of the CA goes one step on each time, so let a Job with --once
run every few days. The provider mounts tls.crt and tls.key of the Secret, and
nothing else of it.

With --out there is no cluster: a new CA signs a certificate, also for localhost,
and ca.crt, tls.crt and tls.key are written into a folder. The caBundle for a
Provider is printed.

Permissions:
  secrets                                get, update  of the Secret's name
  secrets                                create       unless the Secret exists, even if empty
  providers.externaldata.gatekeeper.sh   get, patch   of the Providers' names
  providers.externaldata.gatekeeper.sh   list         unless --provider names them
  providers.externaldata.gatekeeper.sh   create       only with --create-url`

// Command is `chartseal-provider certs`. It logs to the command's error output.
func Command() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:   "certs",
		Short: "Make and rotate the provider's certificates",
		Long:  long,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.namespace, "namespace", os.Getenv("POD_NAMESPACE"), "namespace of the Secret and the Service (default $POD_NAMESPACE)")
	flags.StringVar(&o.service, "service", "chartseal-provider", "Service of the provider: the certificate is for SERVICE.NAMESPACE and SERVICE.NAMESPACE.svc")
	flags.StringVar(&o.secret, "secret", "chartseal-provider-certs", "Secret with CA and certificate; made if it is missing")
	flags.StringSliceVar(&o.names, "name", nil, "a further host name or IP address of the certificate; repeatable")
	flags.StringSliceVar(&o.providers, "provider", nil, "a Provider whose caBundle to keep; repeatable (default: all whose URL names the certificate)")
	flags.StringVar(&o.create.URL, "create-url", "", "make Providers of --provider that are missing, with this URL")
	flags.IntVar(&o.create.Timeout, "create-timeout", 2, "timeout in seconds of Providers that are made")
	flags.DurationVar(&o.policy.CA, "ca-lifetime", 10*365*24*time.Hour, "life of a CA; the next is made at two thirds of it")
	flags.DurationVar(&o.policy.Serving, "lifetime", 90*24*time.Hour, "life of a certificate; renewed at two thirds of it")
	flags.DurationVar(&o.policy.Propagation, "propagation", 2*time.Minute, "from a new CA in every Provider to its first use: Gatekeeper must have noticed")
	flags.DurationVar(&o.policy.Overlap, "overlap", time.Hour, "from a new CA's first use to the end of the old one: every replica must serve the new certificate")
	flags.DurationVar(&o.interval, "interval", time.Minute, "how often to look at Secret and Providers")
	flags.BoolVar(&o.once, "once", false, "do what there is to do now, and end")
	flags.StringVar(&o.out, "out", "", "write ca.crt, tls.crt and tls.key into this folder, without a cluster")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster (default: the one this runs in)")
	return cmd
}

type options struct {
	namespace, service, secret string
	names, providers           []string
	create                     Create
	policy                     Policy
	interval                   time.Duration
	once                       bool
	out, kubeconfig            string
}

func (o *options) run(cmd *cobra.Command) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.out != "" {
		bundle, err := writeDirectory(o.out, o.policy)
		if err != nil {
			return err
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "wrote ca.crt, tls.crt and tls.key into %s; the caBundle for a Provider is\n", o.out)
		_, err = fmt.Fprintln(cmd.OutOrStdout(), base64.StdEncoding.EncodeToString(bundle))
		return err
	}
	rotator, err := o.rotator(slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), nil)))
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.once {
		return settleOnce(ctx, rotator)
	}
	rotator.Run(ctx, o.interval)
	return nil
}

// check completes the policy and refuses what does not go together.
func (o *options) check() error {
	o.policy.Names = o.names
	if o.namespace != "" {
		host := o.service + "." + o.namespace
		o.policy.Names = append(o.policy.Names, host, host+".svc")
	}
	switch {
	case o.out != "" && (o.once || len(o.providers) > 0 || o.create.URL != "" || o.kubeconfig != ""):
		return errors.New("--out works without a cluster: --once, --provider, --create-url and --kubeconfig need one")
	case o.out != "":
		o.policy.Names = append(o.policy.Names, "localhost", "127.0.0.1", "::1")
	case o.namespace == "":
		return errors.New("--namespace is missing, and POD_NAMESPACE is not set")
	case o.interval < time.Second:
		return fmt.Errorf("--interval %v is shorter than a second", o.interval)
	}
	return errors.Join(o.policy.Validate(), o.checkCreate())
}

// checkCreate wants a URL that Gatekeeper can call with the certificate.
func (o *options) checkCreate() error {
	if o.create.URL == "" {
		return nil
	}
	u, err := url.Parse(o.create.URL)
	switch {
	case err != nil:
		return fmt.Errorf("--create-url: %w", err)
	case u.Scheme != "https" || !slices.Contains(o.policy.Names, u.Hostname()):
		return fmt.Errorf("--create-url %q is not an https URL of %q", o.create.URL, o.policy.Names)
	case len(o.providers) == 0:
		return errors.New("--create-url needs the names of Providers: --provider")
	case o.create.Timeout < 1:
		return fmt.Errorf("--create-timeout %d: Gatekeeper would never call", o.create.Timeout)
	}
	return nil
}

func (o *options) rotator(log *slog.Logger) (*Rotator, error) {
	config, err := o.config()
	if err != nil {
		return nil, err
	}
	config.UserAgent, config.Timeout = fieldManager, 30*time.Second
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	return &Rotator{client, o.namespace, o.secret, o.providers, o.create, o.policy, log}, nil
}

func (o *options) config() (*rest.Config, error) {
	if o.kubeconfig != "" {
		return clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	}
	return rest.InClusterConfig()
}

func settleOnce(ctx context.Context, r *Rotator) error {
	due, err := r.Settle(ctx)
	if err == nil {
		r.Log.Info("certificates are in order", "due", due.UTC().Format(time.RFC3339))
	}
	return err
}
