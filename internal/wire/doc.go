// Package wire is what passes between driver and worker: frames, the handshake, and
// the encoding of values. PROTOCOL.md describes it.
//
// A [Codec] is made once per type, at registration, where it also says what of the
// type cannot cross. A [Parcel] carries what is not bytes. Everything that parses
// bounds what it allocates by the bytes that are there and never panics: a worker
// that sends rubbish hurts nobody but itself.
package wire
