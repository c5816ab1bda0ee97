// SPDX-License-Identifier: Apache-2.0

package cosign

import (
	"fmt"
	"regexp"

	cosignlib "github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/chartseal/chartseal/builtins"
)

// An Identity says who may sign without a key of their own: whom the
// certificate names as subject, on whose word. Each is an exact value or a
// regular expression that must match the whole value.
type Identity struct {
	Issuer        string `json:"issuer" doc:"the certificate's issuer of identities, exactly"`
	IssuerRegexp  string `json:"issuer_regexp" doc:"or a regular expression for the whole of it"`
	Subject       string `json:"subject" doc:"the certificate's subject (URI or e-mail address), exactly"`
	SubjectRegexp string `json:"subject_regexp" doc:"or a regular expression for the whole of it"`
}

// identities are identities that are understood, for both libraries.
type identities struct {
	certificate verify.CertificateIdentities
	cosign      []cosignlib.Identity
}

func compileIdentities(list []Identity) (identities, error) {
	var all identities
	for i, identity := range list {
		if err := all.add(identity); err != nil {
			return identities{}, fmt.Errorf("identities[%d]: %w", i, err)
		}
	}
	return all, nil
}

func (all *identities) add(i Identity) error {
	issuer, err := anchored("issuer", i.Issuer, i.IssuerRegexp)
	if err != nil {
		return err
	}
	subject, err := anchored("subject", i.Subject, i.SubjectRegexp)
	if err != nil {
		return err
	}
	id, err := verify.NewShortCertificateIdentity(i.Issuer, issuer, i.Subject, subject)
	all.certificate = append(all.certificate, id)
	all.cosign = append(all.cosign, cosignlib.Identity{Issuer: i.Issuer, IssuerRegExp: issuer, Subject: i.Subject, SubjectRegExp: subject})
	return err
}

// anchored makes an expression that matches nothing but whole values; "" for
// an exact value. It compiles the author's own text first, so that a
// parenthesis in it cannot close ours.
func anchored(what, exact, expression string) (string, error) {
	switch {
	case exact != "" && expression != "":
		return "", fmt.Errorf("%s and %s_regexp contradict, give one", what, what)
	case exact == "" && expression == "":
		return "", fmt.Errorf("%s is missing: an identity needs issuer and subject, each exact or as _regexp", what)
	case exact != "":
		return "", nil
	}
	if _, err := regexp.Compile(expression); err != nil {
		return "", fmt.Errorf("%s_regexp: %w", what, err)
	}
	return `\A(?:` + expression + `)\z`, nil
}

// match says whether any of the identities is the certificate's.
func (all *identities) match(cert certificate.Summary) error {
	if _, err := all.certificate.Verify(cert); err != nil {
		return builtins.Errorf(builtins.IdentityMismatch, "certificate is for subject %q of issuer %q, which is none of the %d identities wanted",
			builtins.Clip(cert.SubjectAlternativeName), builtins.Clip(cert.Issuer), len(all.certificate))
	}
	return nil
}

// claims are what the certificate says of the build, by today's extensions or,
// where an old certificate lacks one, by those of GitHub that came before.
func claims(cert certificate.Summary) builtins.Claims {
	return builtins.Claims{
		SourceRepository: oneOf(cert.SourceRepositoryURI, cert.GithubWorkflowRepository),
		SourceRef:        oneOf(cert.SourceRepositoryRef, cert.GithubWorkflowRef),
		SourceDigest:     oneOf(cert.SourceRepositoryDigest, cert.GithubWorkflowSHA),
		Workflow:         oneOf(cert.BuildConfigURI, cert.GithubWorkflowName),
		BuildSigner:      oneOf(cert.BuildSignerURI),
		Trigger:          oneOf(cert.BuildTrigger, cert.GithubWorkflowTrigger),
		RunURL:           oneOf(cert.RunInvocationURI),
		Runner:           oneOf(cert.RunnerEnvironment),
	}
}

func oneOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return builtins.Clip(builtins.Printable(v))
		}
	}
	return ""
}

func (all *identities) policies() []verify.PolicyOption {
	var options []verify.PolicyOption
	for _, id := range all.certificate {
		options = append(options, verify.WithCertificateIdentity(id))
	}
	return options
}
