// SPDX-License-Identifier: Apache-2.0

package builtins

// Panicked is the report on a panic r in the engine around [Builtin.Call],
// counted and logged as one inside of it.
func (b *Builtin) Panicked(env *Env, r any) (rep Report) {
	rep = Report{Evidence: b.Evidence}
	rep.conclude(b.panicked(env, r))
	return rep
}
