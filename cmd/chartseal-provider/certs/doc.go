// SPDX-License-Identifier: Apache-2.0

// Package certs makes and rotates the provider's certificates, for clusters
// that have no certificate manager: a CA and a serving certificate in a Secret,
// and the CA in the caBundle of the Provider resources of Gatekeeper.
//
// [Policy.Advance] is the whole rotation and touches nothing: time, the Secret's
// data and the Providers' bundles in, the next data and bundle out. [Rotator]
// carries that to a cluster, [Command] is the command line.
//
// A new CA takes over in three steps, so that at every moment whatever
// certificate is served verifies against whatever bundle Gatekeeper holds:
//
//  1. It is made, beside the present one, and both go into every Provider.
//  2. When every Provider has been seen with both for the time of propagation,
//     the new CA signs a new serving certificate. The old CA's key is gone.
//  3. After the overlap, when every replica serves the new certificate, the old
//     CA leaves the bundles.
//
// Only where there is nothing left to lose, at the start or when neither the
// serving certificate nor the CA's key can be used, all of it happens at once.
//
// # The Secret
//
//	ca.crt, ca.key            the CA that signs
//	tls.crt, tls.key          the serving certificate: all that the provider mounts
//	next-ca.crt, next-ca.key  between steps 1 and 2
//	old-ca.crt                between steps 2 and 3
//	rotation.json             when the steps were taken
//
// All of it is checked when it is read. What is broken is repaired from the
// rest, ca.crt also from the bundles of Providers; what cannot be repaired is
// made anew, and either is logged. A Secret that holds certificates of others
// is refused, and so is a CA whose time has not come, which tells of a clock. A
// Provider that is named and calls somebody else is left as it is.
//
// # Several replicas
//
// Any number may run. A round reads the Providers, then the Secret, writes the
// Secret, then the Providers, each write only if the object is still as it was
// read. So nobody who holds an old Secret can put its bundle into a Provider
// that has been seen with a newer one: that Provider changed after the old
// reader read it. The clocks must agree to less than the time of propagation.
//
// # Permissions
//
//	""                         secrets    get, update  (resourceNames: the Secret)
//	""                         secrets    create       (unless the Secret exists, even empty)
//	externaldata.gatekeeper.sh providers  get, patch   (resourceNames: the Providers)
//	externaldata.gatekeeper.sh providers  list         (unless --provider names them)
//	externaldata.gatekeeper.sh providers  create       (only with --create-url)
//
// # Why not cert-controller
//
// Gatekeeper's own rotation, github.com/open-policy-agent/cert-controller
// v0.16.0, knows Providers, and the names of the Secret's first four keys are
// its. Its code is not used: it replaces CA and certificate in one write and
// then the bundle, by a single CA, so that every rotation is an outage until
// kubelet, provider and Gatekeeper have caught up; it updates whole Providers
// from a cache; its keys are RSA, its serial numbers 0 and 1 and its clock the
// wall's; and it comes as a controller of controller-runtime. What would be left
// of it, making and checking a certificate, is the standard library's.
package certs
